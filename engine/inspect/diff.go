package inspect

import "strings"

// maxEdits bounds how different two texts may be before their middle is not
// looked into any more: the time goes with it, the memory with its square.
const maxEdits = 400

// diff sets two texts side by side, line by line; those of layout, such as JSON,
// are the same whether a comma follows or not. bounded says that they were so
// different that lines stand beside each other as they come.
func diff(a, b []string, layout bool) (rows []Row, bounded bool) {
	keysA, keysB := a, b
	if layout {
		keysA, keysB = withoutCommas(a), withoutCommas(b)
	}
	head := 0
	for head < len(a) && head < len(b) && keysA[head] == keysB[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && keysA[len(a)-1-tail] == keysB[len(b)-1-tail] {
		tail++
	}
	rows = make([]Row, 0, max(len(a), len(b)))
	same := func(i, j, n int) {
		for k := range n {
			rows = append(rows, Row{Left: a[i+k], Right: b[j+k]})
		}
	}
	same(0, 0, head)
	matches, ok := myers(keysA[head:len(a)-tail], keysB[head:len(b)-tail])
	i, j := head, head
	for _, m := range matches {
		rows = beside(rows, a[i:head+m.a], b[j:head+m.b])
		same(head+m.a, head+m.b, 1)
		i, j = head+m.a+1, head+m.b+1
	}
	rows = beside(rows, a[i:len(a)-tail], b[j:len(b)-tail])
	same(len(a)-tail, len(b)-tail, tail)
	return rows, !ok
}

func withoutCommas(lines []string) []string {
	keys := make([]string, len(lines))
	for i, l := range lines {
		keys[i] = strings.TrimSuffix(l, ",")
	}
	return keys
}

// beside appends lines that were replaced by others.
func beside(rows []Row, a, b []string) []Row {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			rows = append(rows, Row{Change: Added, Right: b[i]})
		case i >= len(b):
			rows = append(rows, Row{Change: Removed, Left: a[i]})
		default:
			rows = append(rows, Row{Change: Changed, Left: a[i], Right: b[i]})
		}
	}
	return rows
}

// A match is a line that stands in both texts.
type match struct{ a, b int }

// myers returns the lines that two texts share, as few others as possible left
// over (E. W. Myers, An O(ND) Difference Algorithm, 1986). ok is false where they
// differ too much.
func myers(a, b []string) (matches []match, ok bool) {
	most := min(len(a)+len(b), maxEdits)
	v := make([]int, 2*most+2)
	var trace [][]int
	for d := 0; d <= most; d++ {
		trace = append(trace, append([]int(nil), v[most-d:most+d+2]...))
		for k := -d; k <= d; k += 2 {
			x := 0
			if d > 0 {
				if k == -d || k != d && v[most+k-1] < v[most+k+1] {
					x = v[most+k+1]
				} else {
					x = v[most+k-1] + 1
				}
			}
			y := x - k
			for x < len(a) && y < len(b) && a[x] == b[y] {
				x++
				y++
			}
			v[most+k] = x
			if x >= len(a) && y >= len(b) {
				return backtrack(trace, len(a), len(b)), true
			}
		}
	}
	return nil, false
}

// backtrack goes from the end of both texts to their beginning; trace[d] is what
// was reached with fewer than d edits, from diagonal -d on.
func backtrack(trace [][]int, x, y int) []match {
	var matches []match
	for d := len(trace) - 1; d >= 0; d-- {
		k := x - y
		px, py := 0, 0
		if d > 0 {
			at := func(k int) int { return trace[d][k+d] }
			pk := k - 1
			if k == -d || k != d && at(k-1) < at(k+1) {
				pk = k + 1
			}
			px = at(pk)
			py = px - pk
		}
		for x > px && y > py {
			x--
			y--
			matches = append(matches, match{x, y})
		}
		x, y = px, py
	}
	for i, j := 0, len(matches)-1; i < j; i, j = i+1, j-1 {
		matches[i], matches[j] = matches[j], matches[i]
	}
	return matches
}
