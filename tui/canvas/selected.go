package canvas

// Selected returns the first cell of the selected row that is uppermost in r;
// false if no row there is selected: it is where the terminal's cursor belongs,
// for those who follow it.
func (c *Canvas) Selected(r Rect) (x, y int, ok bool) {
	r = r.intersect(Rect{0, 0, c.w, c.h})
	for y := r.Y; y < r.Y+r.H; y++ {
		for x := r.X; x < r.X+r.W; x++ {
			if c.cells[y*c.w+x].style&Selected != 0 {
				return x, y, true
			}
		}
	}
	return 0, 0, false
}
