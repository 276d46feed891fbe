package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"adit/engine"
	"adit/engine/capture"
)

// OwnPlace is the Store.Path of a database that is named after the run.
const OwnPlace = "true"

// Store is what a run keeps on disk of what it saw.
type Store struct {
	Path     string // of the database; OwnPlace where it is found by itself, "" none
	Off      bool   // --no-store, before settle has made Path of it
	Captures bool
	Age      time.Duration // 0, like what follows: without bound
	Rows     int
	Bytes    int64
}

// StoreSettings defines the settings of the history; each sets its field of s.
// byDefault says whether there is one where nothing is said.
func StoreSettings(s *Store, byDefault bool) []Setting {
	fallback := ""
	if byDefault {
		fallback = OwnPlace
	}
	store := textSetting(&s.Path, "store", "PATH", fallback, "keep the history in a SQLite database (true: ROLE-NAME.db below XDG_STATE_HOME)", checkStore)
	store.Bare = OwnPlace
	store.Get = func() string {
		if s.Path == "" {
			return None
		}
		return s.Path
	}
	return []Setting{
		store,
		switchSetting(&s.Off, "no-store", "keep the history in memory only"),
		switchSetting(&s.Captures, "store-captures", "heads and content that were captured go to the database too, credentials masked"),
		durationSetting(&s.Age, "store-age", "720h", "how long the database keeps what it has; 0 for ever", 0, forever),
		numberSetting(&s.Rows, "store-rows", "10000000", "requests that the database keeps; 0 without bound", 0, math.MaxInt32),
		sizeSetting(&s.Bytes, "store-bytes", "4GiB", "size of the database; 0 without bound", 0),
	}
}

func checkStore(v string) (string, error) {
	switch v {
	case "false", None:
		return "", nil
	}
	return v, nil
}

// settle makes one of --store and --no-store.
func (s *Store) settle() error {
	if !s.Off {
		return nil
	}
	if s.Path != "" && s.Path != OwnPlace {
		return errors.New("--store and --no-store contradict each other; leave one out")
	}
	s.Path = ""
	return nil
}

// Capture is what a run keeps in memory of the exchanges that pass.
type Capture struct {
	Mode    string // off, heads, content
	Content []string
	Memory  int64 // bytes of content
}

// CaptureSettings defines the settings of captures; each sets its field of c.
func CaptureSettings(c *Capture) []Setting {
	return []Setting{
		live(choiceSetting(&c.Mode, "capture", "heads", "what is kept of exchanges for the inspector", "off", "heads", "content")),
		live(listSetting(&c.Content, "capture-content", "FILTER", "keep the content of requests that this filter selects", checkCaptureContent)),
		sizeSetting(&c.Memory, "capture-memory", "64MiB", "content that is kept in memory, of all exchanges together", 1<<20),
	}
}

func checkCaptureContent(v string) (string, error) {
	f, err := capture.Filter(v)
	switch {
	case err != nil:
		return "", fmt.Errorf("filter %q: %w", engine.Bound(v), err)
	case f.Empty():
		return "", errors.New("is empty; --capture content keeps that of every request")
	}
	return v, nil
}

// Engine returns c as an engine takes it.
func (c *Capture) Engine() engine.Capture {
	mode := engine.CaptureHeads
	switch c.Mode {
	case "off":
		mode = engine.CaptureOff
	case "content":
		mode = engine.CaptureContent
	}
	return engine.Capture{Mode: mode, Content: c.Content}
}

func (c *Capture) check() error {
	if len(c.Content) > engine.MaxCaptureFilters {
		return fmt.Errorf("--capture-content is given %d times; want at most %d, or one filter with OR", len(c.Content), engine.MaxCaptureFilters)
	}
	return nil
}

// sizeSetting takes bytes with or without a unit of 1,024: "512KiB", "4GiB".
func sizeSetting(into *int64, name, fallback, help string, least int64) Setting {
	return Setting{Name: name, Help: help, Default: fallback, Value: "SIZE", Set: scalar(func(v string) error {
		n, err := parseSize(v)
		if err != nil {
			return err
		}
		if n < least {
			return fmt.Errorf("%s is out of range; want %s or more", engine.Bound(v), formatSize(least))
		}
		*into = n
		return nil
	}), Get: func() string { return formatSize(*into) }}
}

// sizeUnits are the units of sizes from the largest; each is 1,024 of the next.
const sizeUnits = "TGMK"

func parseSize(v string) (int64, error) {
	digits := strings.TrimRight(v, "TGMKiB")
	n, err := strconv.ParseInt(digits, 10, 64)
	shift := 0
	if unit := v[len(digits):]; unit != "" && unit != "B" {
		at := strings.IndexByte(sizeUnits, unit[0])
		if at < 0 || unit[1:] != "iB" && unit[1:] != "" {
			err = strconv.ErrSyntax
		}
		shift = 10 * (len(sizeUnits) - at)
	}
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q is no size; want bytes with or without a unit, such as 64MiB or 4GiB", engine.Bound(v))
	}
	return n << shift, nil
}

func formatSize(n int64) string {
	for i := range len(sizeUnits) {
		if unit := int64(1) << (10 * (len(sizeUnits) - i)); n >= unit && n%unit == 0 {
			return strconv.FormatInt(n/unit, 10) + sizeUnits[i:i+1] + "iB"
		}
	}
	return strconv.FormatInt(n, 10)
}
