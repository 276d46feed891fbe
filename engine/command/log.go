package command

import (
	"io"
	"log/slog"
)

// newLogger returns a logger of lines: JSON, or text for people. Levels mean
//
//	error  something of ours is broken and somebody has to look
//	warn   something around it is, and it goes on without
//	info   what happened once and is worth a line
//	debug  what peers do, on every connection
//
// Every line has a component; none has a credential, content or a header field.
func newLogger(w io.Writer, least slog.Leveler, format string) *slog.Logger {
	o := &slog.HandlerOptions{Level: least}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

func levelOf(name string) slog.Level {
	switch name {
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}
