package policy

// Remembered returns how many verdicts are kept.
func (a *Authority) Remembered() (n int) {
	a.found.Range(func(any, any) bool { n++; return true })
	return n
}

// Expression compiles an expression as rules have them, and says what its texts
// are; nil where it is run.
func Expression(text string) (match func(string) bool, matchBytes func([]byte) bool, texts []string, err error) {
	e, err := compileRE(text)
	if err != nil {
		return nil, nil, nil, err
	}
	return e.MatchString, e.Match, e.texts, nil
}
