package command

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion(p *Process) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Say what this is",
		Long: `Print the version, the commit it was built from and when that was made, the
version of Go, and the platform.`,
		Example: `adit version
adit version --json`,
		Args: cobra.NoArgs,
		RunE: p.verb(func(context.Context) error {
			if asJSON {
				_, err := p.Stdout.Write(append(readBuild(p.Version).appendJSON(nil), '\n'))
				return err
			}
			_, err := fmt.Fprintln(p.Stdout, "adit", BuildVersion(p.Version))
			return err
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object")
	return cmd
}

// A build is what the binary knows of how it was built.
type build struct {
	version  string
	commit   string // "" unknown
	date     string // when the commit was made, RFC 3339; "" unknown
	modified bool   // the files were not those of the commit
	platform string // "linux/amd64", "linux/arm/7"
}

func readBuild(release string) build {
	b := build{version: ShortVersion(release), platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.commit = s.Value
		case "vcs.time":
			b.date = s.Value
		case "vcs.modified":
			b.modified = s.Value == "true"
		case "GOARM":
			b.platform += "/" + s.Value
		}
	}
	return b
}

func (b build) appendJSON(to []byte) []byte {
	to = append(to, '{')
	to = appendMember(to, "kind", "version")
	to = appendMember(to, "version", b.version)
	to = appendMember(to, "commit", b.commit)
	to = appendMember(to, "date", b.date)
	to = appendFlag(to, "modified", b.modified)
	to = appendMember(to, "go", runtime.Version())
	to = appendMember(to, "platform", b.platform)
	return append(to, '}')
}

// BuildVersion returns what the binary says of itself in one line: the version
// (of the release, else the module's), the commit and its date, Go, and the
// platform.
func BuildVersion(release string) string {
	b := readBuild(release)
	commit := "unknown commit"
	if b.commit != "" {
		commit = "commit " + b.commit[:min(len(b.commit), 12)]
	}
	if b.date != "" {
		commit += " of " + b.date
	}
	if b.modified {
		commit += " with changes"
	}
	return fmt.Sprintf("%s (%s, %s, %s)", b.version, commit, runtime.Version(), b.platform)
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
