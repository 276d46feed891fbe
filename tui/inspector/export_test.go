package inspector

import "adit/engine"

// ID returns the request that is shown.
func (s *Screen) ID() engine.RequestID { return s.id }
