package palette

import "strings"

// Scores of matches; less is better. What is off comes after all that is not.
const (
	scoreStart  = 0   // the title begins with it
	scoreWord   = 10  // a word of the title does
	scoreInside = 40  // the title contains it
	scoreName   = 60  // the action's name does
	scoreLoose  = 100 // its letters stand in the title in that order, and the gaps
	scoreOff    = 10000
)

// match reports whether an entry has all words of a query, and how well.
func match(e *entry, query []string) (score int, ok bool) {
	for _, word := range query {
		n, ok := matchWord(e, word)
		if !ok {
			return 0, false
		}
		score += n
	}
	return score, true
}

func matchWord(e *entry, word string) (score int, ok bool) {
	switch i := strings.Index(e.lower, word); {
	case i == 0:
		return scoreStart, true
	case strings.Contains(e.lower, " "+word) || strings.Contains(e.lower, "@"+word):
		return scoreWord, true
	case i > 0:
		return scoreInside, true
	case e.action != "" && strings.Contains(string(e.action), word):
		return scoreName, true
	}
	gaps, ok := loose(e.lower, word)
	return scoreLoose + gaps, ok
}

// loose reports whether the characters of word stand in s in that order from the
// beginning of a word on, and how many others stand between them. A single
// character says too little, and letters strewn over the whole title are chance.
func loose(s, word string) (gaps int, ok bool) {
	if len(word) < 2 {
		return 0, false
	}
	last := -1
	for _, r := range word {
		i := strings.IndexRune(s[last+1:], r)
		if last < 0 && i > 0 {
			if i = strings.Index(s, " "+string(r)); i >= 0 {
				i++
			}
		}
		if i < 0 {
			return 0, false
		}
		if last >= 0 {
			gaps += i
		}
		last += i + 1
	}
	return gaps, gaps <= 3*len(word)
}
