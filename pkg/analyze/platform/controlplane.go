package platform

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/meshctl/meshctl/pkg/analyze"
)

// controlPlaneURLs reports Istio's webhooks that no API server could call, and
// those that call a control plane by an address.
func controlPlaneURLs(p *analyze.Pass) {
	for _, w := range webhooks(p, "ValidatingWebhookConfiguration") {
		if strings.HasPrefix(w.config.Name, "istio-validator") || w.config.Name == "istiod-default-validator" {
			controlPlaneURL(p, w)
		}
	}
	for _, w := range webhooks(p, "MutatingWebhookConfiguration") {
		if strings.HasPrefix(w.config.Name, injectorName) || strings.HasPrefix(w.config.Name, "istio-revision-tag") {
			controlPlaneURL(p, w)
		}
	}
}

func controlPlaneURL(p *analyze.Pass, w *webhook) {
	if w.ClientConfig.URL == nil {
		if w.ClientConfig.Service == nil {
			p.ReportCode("IST0163", w.config, w.at("clientConfig"), "webhook %s names neither a url nor a service: it cannot be called; write the control plane's", w.Name)
		}
		return
	}
	at, text := w.at("clientConfig", "url"), *w.ClientConfig.URL
	host, err := hostOf(text)
	if err != nil {
		p.ReportCode("IST0163", w.config, at, "webhook %s calls %q: %v", w.Name, text, err)
		return
	}
	if _, err := netip.ParseAddr(host); err == nil {
		p.ReportCode("IST0164", w.config, at, "webhook %s calls the control plane by the address %s: a host name would survive a change of it, and certificates are for names", w.Name, host)
	}
}

// hostOf is the host of the URL of a webhook.
func hostOf(text string) (string, error) {
	if strings.TrimSpace(text) == "" {
		return "", errors.New("the url is empty; write https://HOST:PORT/PATH")
	}
	u, err := url.Parse(text)
	if err != nil {
		var wrong *url.Error
		if errors.As(err, &wrong) {
			err = wrong.Err
		}
		return "", fmt.Errorf("no valid url: %w", err)
	}
	host := u.Hostname()
	switch _, addressErr := netip.ParseAddr(host); {
	case host == "":
		return "", errors.New("the url has no host; write https://HOST:PORT/PATH")
	case u.Scheme != "https":
		return "", errors.New("the API server calls webhooks by https only")
	case addressErr != nil && len(validation.IsDNS1123Subdomain(strings.ToLower(strings.TrimSuffix(host, ".")))) > 0:
		return "", fmt.Errorf("%q is neither a host name nor an address", host)
	}
	return host, nil
}
