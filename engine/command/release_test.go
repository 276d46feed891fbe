package command

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"

	"go.yaml.in/yaml/v4"
)

// releaseFile is what of .goreleaser.yaml something here has to agree with.
type releaseFile struct {
	Before struct{ Hooks []string }
	Builds []struct {
		Targets, Env, Flags, Ldflags []string
		ModTimestamp                 string `yaml:"mod_timestamp"`
	}
	Archives []struct{ Files []packedFile }
	NFPMs    []struct {
		Formats  []string
		MTime    string
		Scripts  map[string]string
		Contents []packedFile
	} `yaml:"nfpms"`
	Casks []struct {
		SkipUpload  string `yaml:"skip_upload"`
		Completions map[string]string
		Manpages    []string
	} `yaml:"homebrew_casks"`
	Scoops []struct {
		SkipUpload string `yaml:"skip_upload"`
	}
	Kos       []struct{ Disable string }
	Changelog struct {
		Filters struct{ Exclude []string }
		Groups  []struct{ Title, Regexp string }
	}
	Release struct{ Header, Footer string }
}

type packedFile struct {
	Src, Dst, Type, Packager string
	Info                     struct{ Mtime string }
	FileInfo                 struct {
		Owner, Group, Mtime string
		Mode                uint32
	} `yaml:"file_info"`
}

const top = "../../"

func readRelease(t *testing.T) releaseFile {
	t.Helper()
	text, err := os.ReadFile(top + ".goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var r releaseFile
	if err := yaml.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Builds) != 1 || len(r.Archives) != 1 || len(r.NFPMs) != 1 || len(r.Before.Hooks) != 1 {
		t.Fatalf("not one build, one kind of archive and of package and one hook: %+v", r)
	}
	return r
}

func readText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(top + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A target that is lost is a page of the README that lies; a variable that main has
// not is a release that says it is "devel".
func TestReleaseBuildsWhatIsPromised(t *testing.T) {
	b := readRelease(t).Builds[0]
	want := []string{
		"linux_amd64_v1", "linux_arm64_v8.0", "linux_arm_7", "darwin_amd64_v1", "darwin_arm64_v8.0",
		"windows_amd64_v1", "windows_arm64_v8.0", "freebsd_amd64_v1", "freebsd_arm64_v8.0", "freebsd_arm_7",
	}
	if !slices.Equal(b.Targets, want) {
		t.Errorf("targets %v, want %v", b.Targets, want)
	}
	if !slices.Contains(b.Env, "CGO_ENABLED=0") || !slices.Contains(b.Flags, "-trimpath") || b.ModTimestamp != "{{ .CommitTimestamp }}" {
		t.Errorf("the build is not the same everywhere: env %v, flags %v, time %q", b.Env, b.Flags, b.ModTimestamp)
	}
	name := regexp.MustCompile(`-X main\.(\w+)=\{\{ \.Version \}\}`).FindStringSubmatch(strings.Join(b.Ldflags, " "))
	if name == nil {
		t.Fatalf("ldflags %v set no version", b.Ldflags)
	}
	if !regexp.MustCompile(`(?m)^var ` + name[1] + ` string$`).MatchString(readText(t, "main.go")) {
		t.Errorf("main.go has no variable %s", name[1])
	}
}

// What archives and packages hold is in the repository, or the hook makes it.
func TestReleasePacksWhatThereIs(t *testing.T) {
	r := readRelease(t)
	script, _, _ := strings.Cut(r.Before.Hooks[0], " ")
	hook := readText(t, script)
	for _, f := range slices.Concat(r.Archives[0].Files, r.NFPMs[0].Contents) {
		if f.Info.Mtime+f.FileInfo.Mtime != "{{ .CommitDate }}" {
			t.Errorf("%s %s has a time of its own: two builds of a commit differ", f.Src, f.Dst)
		}
		made, ok := strings.CutPrefix(f.Src, ".release/made/")
		if !ok {
			if f.Type != "dir" {
				readText(t, f.Src)
			}
			continue
		}
		for _, role := range []string{"server", "client"} {
			made = strings.Replace(made, "/adit-"+role, "/adit-$role", 1)
		}
		for _, section := range []string{"1", "5"} {
			made = strings.Replace(made, "man"+section+"/*", "man$section/", 1)
		}
		if !strings.Contains(hook, "$made/"+strings.TrimSuffix(made, "/*")) {
			t.Errorf("%s makes no %s", script, f.Src)
		}
	}
	for _, c := range r.Casks {
		for _, name := range c.Completions {
			if !strings.Contains(hook, "$made/"+name) {
				t.Errorf("%s makes no %s, which Homebrew installs", script, name)
			}
		}
	}
	for when, name := range r.NFPMs[0].Scripts {
		// An apk has the times of these: they are those of the commit in copies only.
		name, copied := strings.CutPrefix(name, ".release/made/")
		if !copied {
			t.Errorf("%s is packed with the time that a checkout gave it", name)
		}
		if info, err := os.Stat(top + ".release/" + name); err != nil || info.Mode()&0o100 == 0 {
			t.Errorf("%s of the packages, %s: %v", when, name, err)
		}
	}
}

// Credentials are written to this file: it is kept on upgrades and not everybody's.
func TestPackagesKeepTheConfiguration(t *testing.T) {
	p := readRelease(t).NFPMs[0]
	if !slices.Equal(p.Formats, []string{"deb", "rpm", "apk"}) {
		t.Errorf("packages %v", p.Formats)
	}
	i := slices.IndexFunc(p.Contents, func(f packedFile) bool { return f.Dst == "/etc/adit/adit.yaml" })
	if i < 0 {
		t.Fatal("no package has an adit.yaml")
	}
	f := p.Contents[i]
	if f.Type != "config|noreplace" || f.FileInfo.Mode != 0o640 || f.FileInfo.Owner != "root" || f.FileInfo.Group != "adit" || f.Packager != "" {
		t.Errorf("adit.yaml is %+v", f)
	}
	for _, kind := range []string{"deb", "rpm"} {
		for _, role := range []string{"server", "client"} {
			if !slices.ContainsFunc(p.Contents, func(f packedFile) bool {
				return f.Packager == kind && f.Dst == "/usr/lib/systemd/system/adit-"+role+".service"
			}) {
				t.Errorf("the %s has no unit of the %s", kind, role)
			}
		}
	}
}

// Who only builds has no token, and nothing may ask for one.
func TestReleasePublishesOnlyWhereItCan(t *testing.T) {
	r := readRelease(t)
	if len(r.Casks) != 1 || len(r.Scoops) != 1 || len(r.Kos) != 1 {
		t.Fatal("not one entry for Homebrew, one for Scoop and one image")
	}
	for _, c := range []string{r.Casks[0].SkipUpload, r.Scoops[0].SkipUpload, r.Kos[0].Disable} {
		if !strings.Contains(c, "isEnvSet") {
			t.Errorf("%q does not ask whether it can publish", c)
		}
	}
	if env := regexp.MustCompile(`\.Env\.(\w+)`).FindAllStringSubmatch(readText(t, ".goreleaser.yaml"), -1); len(env) > 0 {
		for _, name := range env {
			if !strings.Contains(readText(t, ".goreleaser.yaml"), "\n  - "+name[1]+"=") {
				t.Errorf("$%s is set by nobody: without it there is no release", name[1])
			}
		}
	}
}

// Who comes to the page of a release finds every file there by its link, and no link
// that leads nowhere.
func TestReleasePageLinksWhatThereIs(t *testing.T) {
	r := readRelease(t)
	var want []string
	for _, target := range r.Builds[0].Targets {
		words := strings.SplitN(target, "_", 3)
		machine := words[1]
		if machine == "arm" {
			machine += "v" + words[2]
		}
		kinds := []string{"tar.gz"}
		switch words[0] {
		case "linux":
			kinds = append(kinds, r.NFPMs[0].Formats...)
		case "windows":
			kinds = []string{"zip"}
		}
		for _, kind := range kinds {
			want = append(want, words[0]+"_"+machine+"."+kind)
		}
	}
	var got []string
	for _, link := range regexp.MustCompile(`\(\{\{ \$at \}\}/adit_\{\{ \.Version \}\}_([^)]*)\)`).FindAllStringSubmatch(r.Release.Header, -1) {
		got = append(got, link[1])
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the page links %v, want %v", got, want)
	}
	for name, text := range map[string]string{"header": r.Release.Header, "footer": r.Release.Footer} {
		if _, err := template.New(name).Funcs(template.FuncMap{"isEnvSet": func(string) bool { return false },
			"envOrDefault": func(_, otherwise string) string { return otherwise }}).Parse(text); err != nil {
			t.Error(err)
		}
	}
}

// The first group that a subject matches has it: what is mended is nothing new.
func TestChangelogGroupsSubjects(t *testing.T) {
	c := readRelease(t).Changelog
	for subject, want := range map[string]string{
		"Add adit doctor server": "New",
		"Serve callers and clients over TLS, with certificates from files or ACME": "New",
		"Show, check and explain settings with adit config":                        "New",
		"Let no event fall between the beginning of a stream and its state":        "Mended",
		"Refuse a theme that does not exist":                                       "Mended",
		"Tell a hanging origin from a hanging tunnel":                              "Mended",
		"Count lost records, not lost events":                                      "Mended",
		"Make what the client keeps of an exchange one allocation":                 "Faster and smaller",
		"Say on which platforms what was tried":                                    "Explained",
		"Let the lines of the README work one after the other on one machine":      "Explained",
		"Replace a spent wsp connection at once":                                   "All else",
		"Hold both ends to RFC 6455 and to the order of records":                   "",
		"Give tests of limits room on a busy machine":                              "",
		"Merge branch 'x'": "",
	} {
		got := ""
		if !slices.ContainsFunc(c.Filters.Exclude, func(e string) bool { return regexp.MustCompile(e).MatchString(subject) }) {
			for _, group := range c.Groups {
				if regexp.MustCompile(group.Regexp).MatchString(subject) {
					got = group.Title
					break
				}
			}
		}
		if got != want {
			t.Errorf("%q is in the group %q, want %q", subject, got, want)
		}
	}
}
