package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"adit/engine/policy"
)

// How long a change of a file of tokens waits for another one, and after what time
// it takes that one for dead.
const (
	tokenPatience = 10 * time.Second
	tokenStale    = 5 * time.Second
)

// changeTokens reads a file of tokens, lets change say what it is to be, and puts
// that in its place at once: whoever reads the file sees the old or the new one. Two
// changes at the same time follow each other. text is the old file with as little
// changed as possible; where it does not say what list does, list is written anew.
func changeTokens(path string, create bool, change func(f *tokenFile, data []byte) (list []policy.Token, text []byte, err error)) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	draft, err := openDraft(path + ".new")
	if err != nil {
		return fmt.Errorf("write the tokens: %w", err)
	}
	renamed := false
	defer func() {
		if renamed { // it may be somebody else's by now
			return
		}
		draft.Close()
		if draft.isOurs() {
			os.Remove(draft.Name())
		}
	}()
	data, mode, err := readTokenFile(path)
	if create && errors.Is(err, fs.ErrNotExist) {
		data, mode, err = formatTokens(nil), 0o600, nil
	}
	if err != nil {
		return err
	}
	f, err := parseTokens(path, data)
	if err != nil {
		return err
	}
	list, text, err := change(f, data)
	if err != nil {
		return err
	}
	if len(list) > policy.MaxTokens {
		return fmt.Errorf("%s: %d tokens, at most %d may be", path, len(list), policy.MaxTokens)
	}
	want := formatTokens(list)
	if got, err := parseTokens(path, text); err != nil || !bytes.Equal(formatTokens(got.tokens), want) {
		text = want
	}
	if len(text) > maxTokenFile {
		return fmt.Errorf("%s would be larger than %d MiB; revoke what has expired", path, maxTokenFile>>20)
	}
	if err := finishDraft(draft, text, mode, path); err != nil {
		return fmt.Errorf("write the tokens: %w", err)
	}
	renamed = true
	return nil
}

// A draft is a file that is going to take the place of another. That it is there
// says that somebody is at it.
type draft struct {
	*os.File
	info os.FileInfo // when it was made
}

// openDraft makes one.
func openDraft(path string) (*draft, error) {
	for deadline := time.Now().Add(tokenPatience); ; {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			info, err := f.Stat()
			return &draft{f, info}, err
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		// From later on: it was left when the clock was ahead.
		if info, err := os.Lstat(path); err == nil && time.Since(info.ModTime()).Abs() > tokenStale {
			os.Remove(path)
			continue
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("somebody else is writing %s; remove it if nobody is", path)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func finishDraft(draft *draft, text []byte, mode os.FileMode, path string) error {
	if _, err := draft.Write(text); err != nil {
		return err
	}
	if err := draft.Chmod(mode.Perm()); err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil {
		keepOwner(draft.File, info)
	}
	if err := draft.Sync(); err != nil {
		return err
	}
	// Who stopped for long was taken for dead, and what stands there now may be half
	// of what somebody else writes.
	if err := draft.Close(); err != nil {
		return err
	}
	if !draft.isOurs() {
		return fmt.Errorf("somebody else has taken %s over; nothing has changed, try again", draft.Name())
	}
	return os.Rename(draft.Name(), path)
}

// isOurs reports whether what stands under the name of a draft is that still.
func (d *draft) isOurs() bool {
	now, err := os.Lstat(d.Name())
	return err == nil && os.SameFile(d.info, now)
}
