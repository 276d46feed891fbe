package history

import (
	"slices"
	"strings"
	"testing"

	"adit/engine"
)

// A constant that is added to the engine must not be stored as NULL.
func TestEveryConstantHasItsNumber(t *testing.T) {
	for column, all := range map[string][]string{
		"outcome":  {engine.OutcomeCompleted.String(), engine.OutcomeTruncated.String()},
		"way":      {engine.WayRequest.String(), engine.WayTCP.String()},
		"protocol": {engine.ProtocolNative.String(), engine.ProtocolClassic.String()},
		"status":   nil,
	} {
		expression := numbered(column)
		var texts []string
		for i, part := range strings.Split(expression, "'") {
			if i%2 == 1 {
				texts = append(texts, part)
			}
		}
		if strings.Count(expression, "?") != 1 || strings.Contains(expression, "unknown") {
			t.Errorf("%s: %s", column, expression)
		}
		if len(all) > 0 && (texts[0] != all[0] || texts[len(texts)-1] != all[1] || !slices.Equal(slices.Compact(slices.Clone(texts)), texts)) {
			t.Errorf("%s: %s", column, expression)
		}
	}
	if got := names[engine.Way](); !strings.HasPrefix(got, "CASE ? WHEN 1 THEN 'request' WHEN 2 ") {
		t.Error(got)
	}
}
