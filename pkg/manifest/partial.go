package manifest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// kustomizationNames are those of the file that steers -k.
func kustomizationNames() []string {
	return []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}
}

// parts are the files that the kustomization of a directory makes part of other
// objects: patches, and the data of generators.
func parts(dir string) map[string]bool {
	var k struct {
		Patches         []struct{ Path string } `json:"patches"`
		Strategic       []string                `json:"patchesStrategicMerge"`
		JSON            []struct{ Path string } `json:"patchesJson6902"`
		ConfigMaps      []generator             `json:"configMapGenerator"`
		Secrets         []generator             `json:"secretGenerator"`
		HelmCharts      []struct{ ValuesFile string }
		Transformations []string `json:"configurations"`
	}
	for _, name := range kustomizationNames() {
		text, err := os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // in a directory that the user names
		if err != nil || yaml.Unmarshal(text, &k) != nil {
			continue // what is wrong with it is told by -k
		}
		break
	}
	names := slices.Concat(k.Strategic, k.Transformations)
	for _, p := range slices.Concat(k.Patches, k.JSON) {
		names = append(names, p.Path)
	}
	for _, g := range slices.Concat(k.ConfigMaps, k.Secrets) {
		names = append(names, g.Files...)
		names = append(names, g.Envs...)
	}
	for _, c := range k.HelmCharts {
		names = append(names, c.ValuesFile)
	}
	found := map[string]bool{}
	for _, name := range names {
		if _, path, keyed := strings.Cut(name, "="); keyed {
			name = path
		}
		if name != "" && !strings.Contains(name, "\n") {
			found[filepath.Join(dir, name)] = true
		}
	}
	return found
}

type generator struct {
	Files []string `json:"files"`
	Envs  []string `json:"envs"`
}

// isChart tells a directory that holds a Helm chart.
func isChart(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "Chart.yaml"))
	return err == nil
}
