package policy

// Remembered returns how many verdicts are kept.
func (a *Authority) Remembered() (n int) {
	a.found.Range(func(any, any) bool { n++; return true })
	return n
}
