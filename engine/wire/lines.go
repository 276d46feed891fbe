package wire

import (
	"bytes"
	"hash/maphash"
	"strings"
	"sync"
)

// Lines returns fields as lines "name: value", each ended by \n, after a first
// line for host where that is not empty, at most limit bytes. What does not fit,
// or could not stand on a line, is left out whole: cut says so.
//
// What it returns stands in memory together with what it returned for others,
// 32 KiB at a time, which lives as long as any of it: for who keeps all of it, or
// little.
func Lines(host string, fields []Field, limit int) (lines string, cut bool) {
	p := printers.Get().(*printer)
	p.print(host, fields, limit)
	lines, cut = p.keep(), p.cut
	printers.Put(p)
	return lines, cut
}

var printers = sync.Pool{New: func() any { return &printer{seed: maphash.MakeSeed()} }}

const (
	linesPiece  = 32 << 10
	linesRecent = 64 // a power of two
)

// A printer makes lines. Of what it made last it knows the text: heads mostly say
// what others have said just before.
type printer struct {
	text  []byte
	lines int
	cut   bool

	piece  strings.Builder
	seed   maphash.Seed
	recent [linesRecent]string // texts of the piece
}

func (p *printer) print(host string, fields []Field, limit int) {
	p.reset()
	if host != "" {
		p.line("host", host, limit)
	}
	for i := range fields {
		p.line(fields[i].Name, fields[i].Value, limit)
	}
	if bytes.Count(p.text, []byte{'\n'}) == p.lines && bytes.IndexByte(p.text, '\r') < 0 {
		return
	}
	// A value with a line break in it: again, without.
	p.reset()
	if host != "" {
		p.safe("host", host, limit)
	}
	for i := range fields {
		p.safe(fields[i].Name, fields[i].Value, limit)
	}
}

func (p *printer) reset() { p.text, p.lines, p.cut = p.text[:0], 0, false }

// line appends a line whose value is not looked at.
func (p *printer) line(name, value string, limit int) {
	if len(name)+len(value)+len(": \n") > limit-len(p.text) || !isToken(name) {
		p.cut = true
		return
	}
	t := append(p.text, name...)
	t = append(t, ": "...)
	t = append(t, value...)
	p.text = append(t, '\n')
	p.lines++
}

func (p *printer) safe(name, value string, limit int) {
	if strings.ContainsAny(value, "\r\n") {
		p.cut = true
		return
	}
	p.line(name, value, limit)
}

// keep returns the text as one that lasts.
func (p *printer) keep() string {
	if len(p.text) == 0 {
		return ""
	}
	slot := &p.recent[maphash.Bytes(p.seed, p.text)%linesRecent]
	if *slot == string(p.text) {
		return *slot
	}
	if p.piece.Cap()-p.piece.Len() < len(p.text) {
		p.piece = strings.Builder{}
		p.piece.Grow(max(linesPiece, len(p.text)))
		clear(p.recent[:])
	}
	from := p.piece.Len()
	p.piece.Write(p.text)
	*slot = p.piece.String()[from:]
	return *slot
}
