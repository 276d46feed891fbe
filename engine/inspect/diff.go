package inspect

// maxEdits bounds how different two texts may be before their middle is not
// looked into any more: the time goes with it, the memory with its square.
const maxEdits = 400

// diff sets two texts side by side, line by line. bounded says that they were so
// different that lines stand beside each other as they come.
func diff(a, b []string) (rows []Row, bounded bool) {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	rows = make([]Row, 0, max(len(a), len(b)))
	same := func(lines []string) {
		for _, l := range lines {
			rows = append(rows, Row{Left: l, Right: l})
		}
	}
	same(a[:head])
	left, right := a[head:len(a)-tail], b[head:len(b)-tail]
	matches, ok := myers(left, right)
	i, j := 0, 0
	for _, m := range matches {
		rows = beside(rows, left[i:m.a], right[j:m.b])
		same(left[m.a : m.a+1])
		i, j = m.a+1, m.b+1
	}
	rows = beside(rows, left[i:], right[j:])
	same(a[len(a)-tail:])
	return rows, !ok
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
