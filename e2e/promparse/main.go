// Command promparse reads a scrape from standard input with Prometheus' own text parser and prints it as JSON: metric name to
// type and samples. It exits with 1 where Prometheus would refuse the scrape.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

type sample struct {
	Labels map[string]string `json:"labels"`
	Value  float64           `json:"value"`
}

type family struct {
	Type    string   `json:"type"`
	Help    string   `json:"help"`
	Samples []sample `json:"samples"`
}

func main() {
	var parser expfmt.TextParser
	parsed, err := parser.TextToMetricFamilies(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "Cannot parse scrape:", err)
		os.Exit(1)
	}
	families := map[string]family{}
	for name, f := range parsed {
		out := family{Type: f.GetType().String(), Help: f.GetHelp(), Samples: []sample{}}
		for _, m := range f.Metric {
			labels := map[string]string{}
			for _, l := range m.Label {
				labels[l.GetName()] = l.GetValue()
			}
			out.Samples = append(out.Samples, sample{labels, value(m)})
		}
		families[name] = out
	}
	if err := json.NewEncoder(os.Stdout).Encode(families); err != nil {
		fmt.Fprintln(os.Stderr, "Cannot print scrape:", err)
		os.Exit(1)
	}
}

// value is the one number of a sample; for histograms and summaries, how many observations there were.
func value(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.Counter.GetValue()
	case m.Gauge != nil:
		return m.Gauge.GetValue()
	case m.Histogram != nil:
		return float64(m.Histogram.GetSampleCount())
	case m.Summary != nil:
		return float64(m.Summary.GetSampleCount())
	default:
		return m.Untyped.GetValue()
	}
}
