package control

import (
	"encoding/json"
	"fmt"
)

// Bounds of JSON that the other end sends: two bytes of it, "0,", may take a
// kilobyte of an array here.
const (
	maxElements = maxKnown // of one array
	maxDepth    = 64
)

// unmarshal is json.Unmarshal for what a hostile process may have sent.
func unmarshal(b []byte, into any) error {
	if len(b) > 2*maxElements { // less has no room for more
		if err := crowded(b); err != nil {
			return err
		}
	}
	return json.Unmarshal(b, into)
}

// crowded reports that an array has too many elements, or that b is nested too
// deeply. It does not say whether b is JSON.
func crowded(b []byte) error {
	var counts [maxDepth]int
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case '[', '{':
			if depth++; depth == maxDepth {
				return fmt.Errorf("it is nested more than %d deep", maxDepth)
			}
			counts[depth] = 1
		case ']', '}':
			depth = max(depth-1, 0)
		case ',':
			if counts[depth]++; counts[depth] > maxElements {
				return fmt.Errorf("it has a list of more than %d", maxElements)
			}
		}
	}
	return nil
}
