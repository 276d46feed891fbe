package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"adit/engine"
)

// Observing is what a run tells to systems that watch it.
type Observing struct {
	MetricsListen string   // HOST:PORT for /metrics, /healthz and /readyz in clear; "" none
	OTLP          string   // URL of an OTLP/HTTP collector; "" none
	OTLPHeaders   []string // NAME=VALUE
	OTLPSample    float64  // of requests, 0 to 1
}

// ObservingSettings defines the settings of metrics and traces; each sets its
// field of o.
func ObservingSettings(o *Observing) []Setting {
	headers := namedSecretsSetting(&o.OTLPHeaders, "otlp-header", "field for the collector, NAME=VALUE")
	headers.Value = "NAME=VALUE|NAME=@FILE|@FILE"
	sample := rateSetting(&o.OTLPSample, "otlp-sample", "1", "part of requests that are traced, 0 to 1, where the caller has not decided")
	otlp := textSetting(&o.OTLP, "otlp", "URL", "", "send traces to this OTLP/HTTP collector, such as http://127.0.0.1:4318 (default: not)", checkCollector)
	otlp.exact = otlp.Get
	otlp.Get = func() string { return withoutQueries([]string{o.OTLP}) }
	return []Setting{
		textSetting(&o.MetricsListen, "metrics-listen", "HOST:PORT", "", "serve /metrics, /healthz and /readyz here too, without TLS or token (default: not)", checkListen),
		otlp,
		headers,
		sample,
	}
}

func (o *Observing) check() error {
	if o.OTLPSample > 1 {
		return fmt.Errorf("--otlp-sample %s is out of range; want 0 to 1", strconv.FormatFloat(o.OTLPSample, 'g', -1, 64))
	}
	for _, h := range o.OTLPHeaders {
		if name, _, ok := strings.Cut(h, "="); !ok || name == "" {
			return errors.New("--otlp-header: want NAME=VALUE")
		}
	}
	return nil
}

// idle says which of the settings nothing comes of, "" if none.
func (o *Observing) idle() string {
	switch {
	case o.OTLP != "":
		return ""
	case len(o.OTLPHeaders) > 0:
		return "--otlp-header means nothing without --otlp URL, which sends traces"
	case o.OTLPSample != 1:
		return "--otlp-sample means nothing without --otlp URL, which sends traces"
	}
	return ""
}

func checkCollector(v string) (string, error) {
	u, err := parseURL(v, "http://127.0.0.1:4318")
	if err != nil {
		return "", err
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("the scheme %q is no collector's; want http://HOST:4318 or https://…", engine.Bound(u.Scheme))
	}
	return v, nil
}

func logFormatSetting(into *string) Setting {
	return choiceSetting(into, "log-format", "json", "form of the logs on stderr", "json", "text")
}
