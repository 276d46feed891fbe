package wire

// maxVarint is the most bytes of a varint: 9 × 7 bits, so its value is below 2^63.
const maxVarint = 9

// appendVarint appends v, which is below 2^63, as unsigned LEB128.
func appendVarint(dst []byte, v uint64) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

// varint reads a varint and its length in bytes, which is 0 if it is cut or too
// long. Padding (0x80 0x00) is LEB128 and accepted within the nine bytes: it
// lets a writer reserve the length before it knows the payload.
func varint[T string | []byte](b T) (v uint64, n int) {
	for i := 0; i < len(b) && i < maxVarint; i++ {
		c := b[i]
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

func varintSize(v uint64) int {
	n := 1
	for v >= 0x80 {
		v >>= 7
		n++
	}
	return n
}

func appendString(dst []byte, s string) []byte {
	return append(appendVarint(dst, uint64(len(s))), s...)
}

func stringSize(s string) int { return varintSize(uint64(len(s))) + len(s) }

// A cursor reads a payload from its front. After a fault bad is set and all it
// returns is empty, so that callers look once, at the end.
type cursor struct {
	s   string
	bad bool
}

func (c *cursor) fail() {
	c.s, c.bad = "", true
}

func (c *cursor) varint() uint64 {
	v, n := varint(c.s)
	if n == 0 {
		c.fail()
		return 0
	}
	c.s = c.s[n:]
	return v
}

func (c *cursor) str() string {
	n := c.varint()
	if n > uint64(len(c.s)) {
		c.fail()
		return ""
	}
	v := c.s[:n]
	c.s = c.s[n:]
	return v
}

// fields reads a field section to the end of the payload.
func (c *cursor) fields() ([]Field, *ruleError) {
	count := c.varint()
	// A field takes two bytes at least: a count is believed only as far as the
	// payload could bear it out.
	if c.bad || count > uint64(len(c.s)/2) {
		return nil, framing("payload does not match its lengths")
	}
	if count > MaxFields {
		return nil, tooBig("more than 256 fields")
	}
	var fields []Field
	if count > 0 {
		fields = make([]Field, count)
	}
	for i := range fields {
		fields[i] = Field{Name: c.str(), Value: c.str()}
	}
	if c.bad || c.s != "" {
		return nil, framing("payload does not match its lengths")
	}
	return fields, nil
}
