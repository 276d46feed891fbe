package tunnel

import "sync"

// chunkSizes are the classes of pooled buffers: small content and heads, a
// fair share, a whole message.
var chunkSizes = [...]int{2 << 10, 16 << 10, messageSize}

// chunkPools hold free buffers of each class for the whole process; a pool has
// no state that anybody could observe.
var chunkPools [len(chunkSizes)]sync.Pool

// A chunk is a pooled buffer with what is left to read of it.
type chunk struct {
	data  []byte // unread part of buf
	buf   []byte
	class int
	next  *chunk
}

// newChunk returns an empty chunk with room for n bytes, n ≤ messageSize, or
// one made for the purpose beyond.
func newChunk(n int) *chunk {
	for class, size := range chunkSizes {
		if n > size {
			continue
		}
		c, _ := chunkPools[class].Get().(*chunk)
		if c == nil {
			c = &chunk{buf: make([]byte, size), class: class}
		}
		c.data = c.buf[:0]
		return c
	}
	buf := make([]byte, n)
	return &chunk{data: buf[:0], buf: buf, class: -1}
}

// free gives the chunk back; nobody may hold its bytes any more. Free of nil
// does nothing.
func (c *chunk) free() {
	if c == nil || c.class < 0 {
		return
	}
	c.data, c.next = nil, nil
	chunkPools[c.class].Put(c)
}

// A chunkQueue holds received content in order. The zero value is empty.
type chunkQueue struct {
	head, tail *chunk
	size       int // bytes
	memory     int // bytes of the buffers that they lie in
}

// keep pushes a whole message of which the last n bytes are content, or reports
// false where they are better copied: few bytes, or a queue whose buffers would
// then hold messageSize bytes more than it has.
func (q *chunkQueue) keep(msg *chunk, n int) bool {
	if n <= chunkSizes[1] || q.memory+len(msg.buf)-q.size-n > messageSize {
		return false
	}
	msg.data = msg.data[len(msg.data)-n:]
	q.push(msg)
	return true
}

// fits copies of p what fits behind the last chunk and returns the rest, so
// that many tiny records share one buffer.
func (q *chunkQueue) fits(p []byte) []byte {
	if q.tail == nil {
		return p
	}
	used := len(q.tail.buf) - cap(q.tail.data) + len(q.tail.data)
	n := copy(q.tail.buf[used:], p)
	q.tail.data = q.tail.data[:len(q.tail.data)+n]
	q.size += n
	return p[n:]
}

// push appends a chunk with data.
func (q *chunkQueue) push(c *chunk) {
	if q.tail == nil {
		q.head = c
	} else {
		q.tail.next = c
	}
	q.tail = c
	q.size += len(c.data)
	q.memory += len(c.buf)
}

// pop takes the first chunk, nil if there is none.
func (q *chunkQueue) pop() *chunk {
	c := q.head
	if c == nil {
		return nil
	}
	q.head = c.next
	if q.head == nil {
		q.tail = nil
	}
	c.next = nil
	q.size -= len(c.data)
	q.memory -= len(c.buf)
	return c
}

// clear frees all.
func (q *chunkQueue) clear() {
	for c := q.pop(); c != nil; c = q.pop() {
		c.free()
	}
}
