package connection

import (
	"encoding/json"
	"strings"
	"testing"
)

// Whatever stands around it, and wherever the message was cut, a secret of a
// greeting is not shown.
func FuzzRawLines(f *testing.F) {
	f.Add("region", "sin", 400)
	f.Add("x\": y", "{", 40)
	f.Add("İ", "\u2028", 30)
	f.Add("Cookie", "[", 90)
	f.Fuzz(func(t *testing.T, name, value string, cut int) {
		const secret = "hunter2hunter2"
		if strings.Contains(name+value, "hunter") {
			return
		}
		raw, err := json.Marshal(map[string]any{"id": "x", "labels": map[string]any{name: value, "api_token": secret, "zone": []string{name, value}}})
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		if cut >= 0 && cut < len(text) {
			text = text[:cut]
		}
		if shown := strings.Join(rawLines(text, "***"), "\n"); strings.Contains(shown, secret[:7]) {
			t.Errorf("%s is shown as\n%s", text, shown)
		}
	})
}
