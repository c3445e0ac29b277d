package inject

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// Config is the configuration of a sidecar injector: the "config" of its
// ConfigMap.
type Config struct {
	// Templates are texts for text/template, by name.
	Templates map[string]string `json:"templates"`
	// The rest is what the webhook obeys and kube-inject ignores (INJ-23).
	DefaultTemplates     []string               `json:"defaultTemplates"`
	Aliases              map[string][]string    `json:"aliases"`
	Policy               Policy                 `json:"policy"`
	NeverInjectSelector  []metav1.LabelSelector `json:"neverInjectSelector"`
	AlwaysInjectSelector []metav1.LabelSelector `json:"alwaysInjectSelector"`
	InjectedAnnotations  map[string]string      `json:"injectedAnnotations"`
}

// Policy is the injector's answer for pods that say nothing themselves.
type Policy string

// The policies. Any other text means that nothing is ever injected (INJ-20).
const (
	PolicyEnabled  Policy = "enabled"
	PolicyDisabled Policy = "disabled"
)

// defaultTemplate is the template that pods get unless they ask for others.
const defaultTemplate = "sidecar"

// ParseConfig reads an injector configuration. A text without "templates" is
// taken as the bare template "sidecar" (INJ-123).
func ParseConfig(text []byte) (*Config, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errors.New("the injection config is empty")
	}
	c := &Config{}
	err := yaml.Unmarshal(text, c)
	if err == nil && len(c.Templates) > 0 {
		if c.Policy == "" {
			c.Policy = PolicyEnabled
		}
		return c, nil
	}
	if strings.Contains(string(text), "\ntemplates:") {
		return nil, fmt.Errorf("injection config: %w", err)
	}
	return &Config{
		Templates: map[string]string{defaultTemplate: string(text)},
		Policy:    PolicyEnabled,
	}, nil
}
