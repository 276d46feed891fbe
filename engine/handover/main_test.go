//go:build unix

package handover

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if role, ok := os.LookupEnv(envRole); ok {
		os.Exit(play(role))
	}
	goleak.VerifyTestMain(m)
}
