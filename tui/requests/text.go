package requests

import "adit/engine"

// orderTitle returns the word for an order.
func orderTitle(o engine.RequestOrder) string {
	switch o {
	case engine.ByDuration:
		return "duration"
	case engine.BySize:
		return "size"
	case engine.ByStatus:
		return "status"
	case engine.ByClient:
		return "client"
	case engine.ByPath:
		return "path"
	}
	return "time"
}
