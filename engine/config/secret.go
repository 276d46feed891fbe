package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// maxSecret bounds a credential in bytes, so that it fits a field of the opening
// handshake with room to spare.
const maxSecret = 4096

// resolveSecret returns a credential, read from the file that @FILE names. Its
// errors never show it.
func resolveSecret(v string) (string, error) {
	path, isFile := strings.CutPrefix(v, "@")
	if !isFile {
		return v, checkSecret(v, "it")
	}
	if path == "" {
		return "", errors.New("@ without a file name; want @FILE")
	}
	data, err := readBounded(path, maxSecret+2)
	if err != nil {
		return "", fmt.Errorf("read the credential: %w", err)
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	return secret, checkSecret(secret, path)
}

// resolveNamed is resolveSecret that takes NAME=@FILE as well: the name, and the
// secret from the file.
func resolveNamed(v string) (string, error) {
	name, at, named := strings.Cut(v, "=")
	if !named || name == "" || name[0] == '@' || !strings.HasPrefix(at, "@") {
		return resolveSecret(v)
	}
	secret, err := resolveSecret(at)
	if err != nil {
		return "", err
	}
	return name + "=" + secret, nil
}

// secretFile returns the file that v names, where it is not a credential itself.
func (s *Setting) secretFile(v string) (path string, is bool) {
	path, is = strings.CutPrefix(v, "@")
	if name, after, _ := strings.Cut(v, "="); !is && s.named && name != "" {
		path, is = strings.CutPrefix(after, "@")
	}
	return path, is
}

func checkSecret(secret, where string) error {
	switch {
	case secret == "":
		return fmt.Errorf("%s is empty; want a credential", where)
	case len(secret) > maxSecret:
		return fmt.Errorf("%s is longer than %d bytes", where, maxSecret)
	case strings.TrimSpace(secret) != secret:
		return fmt.Errorf("%s begins or ends with a space, which a field can't carry", where)
	}
	for i := 0; i < len(secret); i++ {
		if secret[i] < ' ' || secret[i] == 0x7f {
			return fmt.Errorf("%s has a control character or a second line; want one credential", where)
		}
	}
	return nil
}

// readBounded reads at most limit bytes of a file; a longer one is an error.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe that nobody writes into is empty
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return data, nil
}

// Credential returns a credential as it was given, SECRET or @FILE.
func Credential(v string) (string, error) { return resolveSecret(v) }
