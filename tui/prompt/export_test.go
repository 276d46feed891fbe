package prompt

// Pending reports whether something typed waits to be applied.
func (p *Prompt) Pending() bool { return !p.typed.IsZero() }
