package platform

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshctl/meshctl/pkg/analyze"
	"github.com/meshctl/meshctl/pkg/mesh"
)

// webhook is one entry of a webhook configuration.
type webhook struct {
	config            *mesh.Object
	position          int
	Name              string                `json:"name"`
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector"`
	ObjectSelector    *metav1.LabelSelector `json:"objectSelector"`
	ClientConfig      struct {
		URL     *string `json:"url"`
		Service *struct {
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"service"`
	} `json:"clientConfig"`
	namespace, object labels.Selector
}

func (w *webhook) at(path ...string) []string {
	return append([]string{"webhooks", itoa(w.position)}, path...)
}

// matches tells whether a pod of a namespace is sent to the webhook.
func (w *webhook) matches(namespace, pod map[string]string) bool {
	return w.namespace.Matches(labels.Set(namespace)) && w.object.Matches(labels.Set(pod))
}

// isIstios tells a webhook that is called as Istio's are.
func (w *webhook) isIstios() bool { return strings.HasSuffix(w.Name, ".istio.io") }

// webhooks are those of the configurations of a kind, in the order of the files.
func webhooks(p *analyze.Pass, kind string) []*webhook {
	return analyze.Shared(p.Inventory, "platform.webhooks."+kind, func() []*webhook {
		var all []*webhook
		for _, o := range p.Kind(admission, kind) {
			var config struct {
				Webhooks []*webhook `json:"webhooks"`
			}
			if o.Decode(&config) != nil {
				continue
			}
			for i, w := range config.Webhooks {
				if w == nil {
					continue
				}
				w.config, w.position = o, i
				w.namespace, w.object = selector(w.NamespaceSelector), selector(w.ObjectSelector)
				all = append(all, w)
			}
		}
		return all
	})
}

// selector reads a webhook's selector: none matches everything, one that is
// wrong nothing.
func selector(s *metav1.LabelSelector) labels.Selector {
	if s == nil {
		return labels.Everything()
	}
	parsed, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return labels.Nothing()
	}
	return parsed
}

// injectorHooks are the webhooks that inject sidecars.
func injectorHooks(p *analyze.Pass) []*webhook {
	all := slices.Clone(webhooks(p, "MutatingWebhookConfiguration"))
	return slices.DeleteFunc(all, func(w *webhook) bool { return !w.isIstios() })
}

// webhookConflicts reports injectors that would take the same pod, and those
// whose service is not there.
func webhookConflicts(p *analyze.Pass) {
	hooks := injectorHooks(p)
	overlaps(p, hooks)
	services, spoken := map[string]bool{}, map[string]bool{}
	for _, o := range p.Kind("", "Service") {
		services[o.Namespace+"/"+o.Name], spoken[o.Namespace] = true, true
	}
	missing := map[string]bool{} // by configuration and service
	for _, w := range hooks {
		service := w.ClientConfig.Service
		if service == nil || !p.Complete && !spoken[service.Namespace] {
			continue // the control plane is kept elsewhere
		}
		name := service.Namespace + "/" + service.Name
		key := w.config.Name + " " + name
		if services[name] || missing[key] {
			continue
		}
		missing[key] = true
		p.Report(w.config, w.at("clientConfig", "service", "name"), "the webhook calls the Service %s, which is not there: pods that it matches cannot be created, or get no sidecar", name)
	}
}

// overlaps reports the configurations that two injectors of different ones are
// asked by for one pod, whatever labels its namespace and it have.
func overlaps(p *analyze.Pass, hooks []*webhook) {
	rivals := map[*mesh.Object]map[*mesh.Object]string{} // how they meet
	revisions := revisionsOf(hooks)
	for _, namespace := range labelSets(namespaceLabel, []string{"enabled", "disabled"}, revisions) {
		near := slices.DeleteFunc(slices.Clone(hooks), func(w *webhook) bool { return !w.namespace.Matches(labels.Set(namespace)) })
		if !severalConfigs(near) {
			continue
		}
		for _, pod := range labelSets(injectLabel, []string{"true", "false"}, revisions) {
			meet(rivals, slices.DeleteFunc(slices.Clone(near), func(w *webhook) bool { return !w.object.Matches(labels.Set(pod)) }), describe(namespace, pod))
		}
	}
	for _, o := range p.Kind(admission, "MutatingWebhookConfiguration") {
		if len(rivals[o]) == 0 {
			continue
		}
		others := slices.SortedFunc(maps.Keys(rivals[o]), func(a, b *mesh.Object) int { return strings.Compare(a.Name, b.Name) })
		names := make([]string, len(others))
		for i, other := range others {
			names[i] = other.Name
		}
		r := p.Report(o, []string{"webhooks"}, "pods may be injected twice: %s takes %s too; make the selectors exclude each other", strings.Join(names, ", "), rivals[o][others[0]])
		for _, other := range others {
			r.Because(other, []string{"webhooks"}, "takes the same pods")
		}
	}
}

// severalConfigs tells whether webhooks are of more than one configuration.
func severalConfigs(hooks []*webhook) bool {
	return slices.ContainsFunc(hooks, func(w *webhook) bool { return w.config != hooks[0].config })
}

// meet notes that the configurations of webhooks take the same pods.
func meet(rivals map[*mesh.Object]map[*mesh.Object]string, hooks []*webhook, pods string) {
	if !severalConfigs(hooks) {
		return
	}
	for _, a := range hooks {
		for _, b := range hooks {
			if a.config == b.config || rivals[a.config][b.config] != "" {
				continue
			}
			if rivals[a.config] == nil {
				rivals[a.config] = map[*mesh.Object]string{}
			}
			rivals[a.config][b.config] = pods
		}
	}
}

// revisionsOf are the revisions that selectors of webhooks name.
func revisionsOf(hooks []*webhook) []string {
	seen := map[string]bool{}
	for _, w := range hooks {
		for _, s := range []*metav1.LabelSelector{w.NamespaceSelector, w.ObjectSelector} {
			if s == nil {
				continue
			}
			if revision := s.MatchLabels[revisionLabel]; revision != "" {
				seen[revision] = true
			}
			for _, e := range s.MatchExpressions {
				for _, value := range e.Values {
					if e.Key == revisionLabel {
						seen[value] = true
					}
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// labelSets are all choices of a value of a label, or none, and of a revision,
// or none.
func labelSets(label string, values, revisions []string) []map[string]string {
	var all []map[string]string
	for _, value := range append([]string{""}, values...) {
		for _, revision := range append([]string{""}, revisions...) {
			set := map[string]string{}
			if value != "" {
				set[label] = value
			}
			if revision != "" {
				set[revisionLabel] = revision
			}
			all = append(all, set)
		}
	}
	return all
}

func describe(namespace, pod map[string]string) string {
	return fmt.Sprintf("pods %s in namespaces %s", words(pod), words(namespace))
}

func words(set map[string]string) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(set)) {
		all = append(all, key+"="+set[key])
	}
	if all == nil {
		return "without labels for injection"
	}
	return "with " + strings.Join(all, ", ")
}

func itoa(n int) string { return strconv.Itoa(n) }
