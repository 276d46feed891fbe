package inspect

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

const (
	// MaxDecoded is the bound, in bytes, of what is decoded of the content of one
	// direction.
	MaxDecoded = 256 << 10

	// between bounds what one coding of several gives to the next.
	between = 1 << 20

	// maxCodings bounds how many are undone.
	maxCodings = 4
)

// A Decoded is content with its codings (RFC 9110 §8.4) undone.
type Decoded struct {
	Data    []byte
	Undone  []string // in the order in which they were undone
	Left    string   // the coding that could not be undone, of which Data is in; "" none
	Bounded bool     // there would be more than [MaxDecoded] bytes
	Cut     bool     // the coded data ends too early, so Data does
	Problem string   // why the rest is missing: what the decoder says; "" nothing is, but for Cut and Bounded
}

// Decode undoes the codings of a Content-Encoding field, as far as data and the
// bound reach. Without any, Data is data itself.
func Decode(contentEncoding string, data []byte) Decoded {
	d := Decoded{Data: data}
	codings := codingsOf(contentEncoding)
	for i := len(codings) - 1; i >= 0 && len(d.Data) > 0; i-- {
		coding := codings[i]
		if len(d.Undone) == maxCodings {
			d.Left = coding
			return d
		}
		most := between
		if i == 0 {
			most = MaxDecoded
		}
		out, err := undo(coding, d.Data, most)
		switch {
		case errors.Is(err, errCoding):
			d.Left = coding
			return d
		case len(out) > most:
			out, d.Bounded = out[:most], true
		case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
			d.Cut = true
		case err != nil && len(out) == 0:
			d.Left, d.Problem = coding, err.Error()
			return d
		case err != nil:
			d.Problem = coding + ": " + err.Error()
		}
		d.Data = out
		d.Undone = append(d.Undone, coding)
	}
	return d
}

// codingsOf returns the codings of a Content-Encoding field that change anything.
func codingsOf(contentEncoding string) []string {
	var codings []string
	for coding := range strings.SplitSeq(contentEncoding, ",") {
		switch coding = strings.ToLower(strings.TrimSpace(coding)); coding {
		case "", "identity":
		case "x-gzip":
			codings = append(codings, "gzip")
		default:
			codings = append(codings, coding)
		}
	}
	return codings
}

var errCoding = errors.New("not a coding that is known here")

// undo returns what data stands for, one byte more than most where there is more
// than that.
func undo(coding string, data []byte, most int) ([]byte, error) {
	var r io.Reader
	source := bytes.NewReader(data)
	switch coding {
	case "gzip":
		z, err := gzip.NewReader(source)
		if err != nil {
			return nil, err
		}
		r = z
	case "deflate":
		r = inflater(source)
	case "br":
		r = brotli.NewReader(source)
	case "zstd":
		z, err := zstd.NewReader(source, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderMaxMemory(16<<20))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	default:
		return nil, errCoding
	}
	var out bytes.Buffer
	_, err := io.Copy(&out, io.LimitReader(r, int64(most)+1))
	return out.Bytes(), err
}

// inflater reads what "deflate" means: zlib (RFC 9110 §8.4.1.2), or the bare
// stream that some servers send.
func inflater(source *bytes.Reader) io.Reader {
	peek := bufio.NewReader(source)
	if head, err := peek.Peek(2); err == nil && head[0]&0x0f == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
		if z, err := zlib.NewReader(peek); err == nil {
			return z
		}
	}
	return flate.NewReader(peek)
}
