// Package version tells which build of meshctl this is.
package version

import "runtime/debug"

// Info describes a build.
type Info struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
}

// Read is the build's own account: release is what the release build was
// given, "" for other builds, which tell their module version and commit.
func Read(release string) Info {
	info := Info{Version: "devel"}
	build, ok := debug.ReadBuildInfo()
	if ok {
		info.Go = build.GoVersion
		if v := build.Main.Version; v != "" && v != "(devel)" {
			info.Version = v
		}
		for _, s := range build.Settings {
			if s.Key == "vcs.revision" {
				info.Commit = s.Value
			}
		}
	}
	if release != "" {
		info.Version = release
	}
	return info
}
