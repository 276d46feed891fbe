package origin

import "errors"

const (
	maxChunkDigits = 16
	maxChunkExcess = 16 << 10 // bytes of framing beyond what chunks of their size may have
)

var (
	errChunkSize = errors.New("bad chunk size")
	errChunkEnd  = errors.New("chunk does not end with CRLF")
	errChunkLine = errors.New("bad chunk extension")
	errExcess    = errors.New("too much framing around chunks")
	errTrailers  = errors.New("trailer section above 64 KiB")
)

// A chunkState says what the next byte belongs to.
type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExtension
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	chunkTrailers
	chunkDone
)

// A chunkDecoder decodes the chunked transfer coding (RFC 9112 §7.1) byte by
// byte, so that it does not matter how the bytes arrive.
type chunkDecoder struct {
	state    chunkState
	digits   int8
	left     int64 // the size so far, then what is left of the data
	line     int64 // bytes of the current line of framing
	excess   int64 // see maxChunkExcess
	trailers []byte
	cr       bool // the trailer section's last byte was CR
}

// decode consumes src and writes the content to dst, until either is exhausted
// or the coding ends. dst may begin where src does: content never overtakes its
// framing.
func (d *chunkDecoder) decode(dst, src []byte) (nd, ns int, err error) {
	for ns < len(src) {
		c := src[ns]
		switch d.state {
		case chunkData:
			if nd == len(dst) {
				return nd, ns, nil
			}
			n := copy(dst[nd:], src[ns:ns+int(min(d.left, int64(len(src)-ns)))])
			nd += n
			ns += n
			if d.left -= int64(n); d.left == 0 {
				d.state = chunkDataCR
			}
			continue
		case chunkSize:
			err = d.size(c)
		case chunkExtension:
			if c == '\r' {
				d.state = chunkSizeLF
			} else if byteClasses[c]&valueByte == 0 {
				err = errChunkLine
			} else if d.line > maxChunkExcess {
				err = errExcess
			}
			d.line++
		case chunkSizeLF:
			if c != '\n' {
				err = errChunkSize
			} else {
				err = d.begin()
			}
		case chunkDataCR:
			if c != '\r' {
				err = errChunkEnd
			}
			d.state = chunkDataLF
		case chunkDataLF:
			if c != '\n' {
				err = errChunkEnd
			}
			d.state = chunkSize
		case chunkTrailers:
			err = d.trailer(c)
		case chunkDone:
			return nd, ns, nil
		}
		ns++
		if err != nil {
			return nd, ns, err
		}
	}
	return nd, ns, nil
}

func (d *chunkDecoder) size(c byte) error {
	d.line++
	var v byte
	switch {
	case '0' <= c && c <= '9':
		v = c - '0'
	case 'a' <= c && c <= 'f':
		v = c - 'a' + 10
	case 'A' <= c && c <= 'F':
		v = c - 'A' + 10
	case d.digits == 0:
		return errChunkSize
	case c == '\r':
		d.state = chunkSizeLF
		return nil
	case c == ';':
		d.state = chunkExtension
		return nil
	default:
		return errChunkSize
	}
	if d.digits++; d.digits > maxChunkDigits || d.left>>59 != 0 {
		return errChunkSize
	}
	d.left = d.left<<4 | int64(v)
	return nil
}

// begin follows a size line. As net/http does, it allows 16 bytes of framing
// for a chunk and twice its data.
func (d *chunkDecoder) begin() error {
	excess := d.excess + d.line + 3
	if d.left < maxChunkExcess {
		excess -= 16 + 2*d.left
	} else {
		excess = 0
	}
	if d.excess = max(excess, 0); d.excess > maxChunkExcess {
		return errExcess
	}
	d.state = chunkData
	if d.left == 0 {
		d.state = chunkTrailers
	}
	d.digits, d.line = 0, 0
	return nil
}

// trailer takes a byte of the trailer section, which an empty line ends. A CR
// is kept when its LF has come.
func (d *chunkDecoder) trailer(c byte) error {
	switch {
	case c == '\n' && !d.cr:
		return errBareLF
	case c == '\n' && d.line == 1:
		d.state = chunkDone
		return nil
	case c == '\n':
		d.trailers = append(d.trailers, '\r', '\n')
		d.line, d.cr = 0, false
		return nil
	case d.cr:
		return errFieldValue
	case c == '\r':
		d.cr = true
	case len(d.trailers) > maxResponseHead-4:
		return errTrailers
	default:
		d.trailers = append(d.trailers, c)
	}
	d.line++
	return nil
}
