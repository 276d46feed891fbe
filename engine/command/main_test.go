package command

import (
	"context"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// A shell that completes starts this binary as adit.
	if os.Getenv(asAdit) != "" {
		p := hostileRun().completing(os.Stdout)
		root := Root(p)
		root.SetArgs(os.Args[1:])
		os.Exit(p.Finish(root.ExecuteContext(context.Background())))
	}
	goleak.VerifyTestMain(m)
}
