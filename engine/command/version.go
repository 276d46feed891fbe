package command

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion(p *Process) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say what this is",
		Long:  "Print the version, the commit it was built from, the version of Go, and the platform.",
		Args:  cobra.NoArgs,
		RunE: p.verb(func(context.Context) error {
			_, err := fmt.Fprintln(p.Stdout, "adit", BuildVersion(p.Version))
			return err
		}),
	}
}

// BuildVersion returns what the binary says of itself in one line: the version
// (of the release, else the module's), the commit, Go, and the platform.
func BuildVersion(release string) string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		build = &debug.BuildInfo{}
	}
	commit, modified := "unknown commit", ""
	for _, s := range build.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = "commit " + s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = " with changes"
		}
	}
	return fmt.Sprintf("%s (%s%s, %s, %s/%s)", ShortVersion(release), commit, modified,
		runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// ShortVersion returns the version of the release, else the module's, else
// "devel". It is what the two ends tell each other.
func ShortVersion(release string) string {
	if release != "" {
		return release
	}
	if build, ok := debug.ReadBuildInfo(); ok && build.Main.Version != "" && build.Main.Version != "(devel)" {
		return build.Main.Version
	}
	return "devel"
}
