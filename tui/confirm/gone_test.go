package confirm

import (
	"errors"
	"testing"

	"adit/engine"
	"adit/keys"
)

// A request that ended before it could be cancelled was an error that hid the
// footer until it was acknowledged; but it is over, as was asked for.
func TestWhatWasOverAlreadyIsNoError(t *testing.T) {
	v := verbOf(keys.Cancel)
	for _, test := range []struct {
		errs []error
		text string
		bad  bool
	}{
		{[]error{engine.ErrNotFound}, "cancel r-7: already over", false},
		{[]error{nil, engine.ErrNotFound}, "cancelled 1 of 2; r-7: already over", false},
		{[]error{errors.New("no")}, "cancel r-7: no", true},
		{[]error{engine.ErrNotFound, errors.New("no")}, "cancelled 0 of 2; r-7: already over", true},
	} {
		var got tally
		for _, err := range test.errs {
			got.add("r-7", err, "already over")
		}
		if say := got.say(v); say.Text != test.text || say.Bad != test.bad {
			t.Errorf("%v: %+v", test.errs, say)
		}
	}
}
