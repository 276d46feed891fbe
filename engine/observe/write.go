package observe

import (
	"fmt"
	"io"
	"time"

	"adit/engine"
)

// maxWrite is how many bytes of lines are collected before they are written.
const maxWrite = 64 << 10

// WriteEvents writes one line for every event and a "dropped" line for every
// gap, batching writes, until batches is closed or a write fails (that error).
// It holds at most 64 KiB and one line.
func WriteEvents(w io.Writer, batches <-chan engine.Batch) error {
	var buffer []byte
	flush := func() error {
		if _, err := w.Write(buffer); err != nil {
			return fmt.Errorf("write events: %w", err)
		}
		if buffer = buffer[:0]; cap(buffer) > 2*maxWrite {
			buffer = nil
		}
		return nil
	}
	for batch := range batches {
		if batch.Dropped > 0 {
			buffer = AppendDropped(buffer, batch)
		}
		for i := range batch.Events {
			buffer = append(AppendEvent(buffer, &batch.Events[i]), '\n')
			if len(buffer) >= maxWrite {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		if len(buffer) > 0 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// AppendDropped appends the line, with its newline, for the gap before a batch. Its time is that of the event after
// it, its seq that of the one before that: the newest that can have been lost.
func AppendDropped(dst []byte, batch engine.Batch) []byte {
	at := time.Now()
	if len(batch.Events) > 0 {
		at = batch.Events[0].Time
	}
	dst = append(dst, `{"time":"`...)
	dst = appendTime(dst, at)
	dst = append(dst, '"')
	if len(batch.Events) > 0 {
		dst = appendUint(dst, `,"seq":`, batch.Events[0].Seq-1)
	}
	dst = appendUint(dst, `,"kind":"dropped","count":`, batch.Dropped)
	return append(dst, '}', '\n')
}
