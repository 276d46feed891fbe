// Package memory keeps what the operator chose in the dashboard from one run to
// the next, in a YAML file of names and values.
package memory

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"

	"go.yaml.in/yaml/v4"
)

// Bounds of a memory. What would exceed them is not kept.
const (
	MaxNames = 1000
	MaxName  = 256      // bytes
	MaxValue = 64 << 10 // bytes
	MaxFile  = 4 << 20  // bytes
)

// A Memory is the values of one dashboard. Get and Set never wait for the file:
// Write does, on whatever goroutine calls it. It implements pane.Memory.
type Memory struct {
	path string // "" kept nowhere

	mu      sync.Mutex
	values  map[string]string
	changed map[string]string // since the last Write; "" means taken out

	writing sync.Mutex // one Write at a time
}

// Open returns the memory of the file at path, which need not exist; "" keeps
// nothing. An error says why the file was not read: the memory works and, so
// that nothing of the operator's is overwritten, is kept nowhere.
func Open(path string) (*Memory, error) {
	m := &Memory{path: path, values: map[string]string{}, changed: map[string]string{}}
	if path == "" {
		return m, nil
	}
	values, err := read(path)
	if err != nil {
		m.path = ""
		return m, fmt.Errorf("%w; mend or remove it, until then nothing is kept", err)
	}
	m.values = values
	return m, nil
}

// read returns the values of a file, none if there is no file.
func read(path string) (map[string]string, error) {
	values := map[string]string{}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return values, nil
	}
	if err != nil {
		return nil, err
	}
	if info.Size() > MaxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, MaxFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return values, nil
	}
	if err := yaml.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for name, value := range values {
		if len(name) > MaxName || len(value) > MaxValue || len(values) > MaxNames {
			delete(values, name)
		}
	}
	if values == nil { // the file says null
		values = map[string]string{}
	}
	return values, nil
}

// Get returns the value of a name, "" if there is none.
func (m *Memory) Get(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[name]
}

// Set gives a name a value; "" takes it out. What exceeds the bounds is ignored.
func (m *Memory) Set(name, value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, known := m.values[name]
	if old == value || len(name) > MaxName || len(value) > MaxValue || !known && len(m.values) >= MaxNames {
		return
	}
	if value == "" {
		delete(m.values, name)
	} else {
		m.values[name] = value
	}
	if m.path != "" {
		m.changed[name] = value
	}
}

// Changed reports whether there is something to write.
func (m *Memory) Changed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.changed) > 0
}

// Write puts what was changed since the last Write into the file, and leaves
// what another dashboard has written there. The file is replaced as a whole. On
// an error the changes are kept for the next Write.
func (m *Memory) Write() error {
	m.writing.Lock()
	defer m.writing.Unlock()
	m.mu.Lock()
	changed := m.changed
	m.changed = map[string]string{}
	m.mu.Unlock()
	if len(changed) == 0 {
		return nil
	}
	err := merge(m.path, changed)
	if err != nil {
		m.mu.Lock()
		maps.Copy(changed, m.changed)
		m.changed = changed
		m.mu.Unlock()
		return fmt.Errorf("keeping the dashboard's settings: %w", err)
	}
	return nil
}

func merge(path string, changed map[string]string) error {
	values, err := read(path)
	if err != nil {
		return err
	}
	for name, value := range changed {
		if value == "" {
			delete(values, name)
		} else {
			values[name] = value
		}
	}
	text, err := yaml.Marshal(values)
	if err == nil && len(text) > MaxFile {
		err = fmt.Errorf("%s would be larger than %d bytes; save fewer filters", path, MaxFile)
	}
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = temp.Write(text)
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		// The one that matters is err.
		_ = os.Remove(temp.Name())
	}
	return err
}
