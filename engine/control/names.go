package control

import "adit/engine"

// named returns the value in 1…most whose text is name, 0 if there is none.
func named[T ~uint8](name string, most T, text func(T) string) T {
	for v := T(1); v <= most; v++ {
		if name != "" && text(v) == name {
			return v
		}
	}
	return 0
}

func kindNamed(s string) engine.Kind {
	return named(s, engine.KindStopped, engine.Kind.String)
}

func wayNamed(s string) engine.Way { return named(s, engine.WayTCP, engine.Way.String) }

func modeNamed(s string) engine.CaptureMode {
	return named(s, engine.CaptureContent, engine.CaptureMode.String)
}

func outcomeNamed(s string) engine.Outcome {
	return named(s, engine.OutcomeTruncated, engine.Outcome.String)
}

func protocolNamed(s string) engine.Protocol {
	return named(s, engine.ProtocolClassic, engine.Protocol.String)
}

func roleNamed(s string) engine.Role { return named(s, engine.RoleClient, engine.Role.String) }

func stateNamed(s string) engine.ConnectionState {
	return named(s, engine.StateClosing, engine.ConnectionState.String)
}

func messageNamed(s string) engine.MessageKind {
	return named(s, engine.MessageBytes, engine.MessageKind.String)
}
