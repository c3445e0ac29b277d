package inject

import "strings"

// imageReference is "hub/name:tag" with the image type in the tag (INJ-47).
func imageReference(hub, name, tag, imageType string) string {
	if name == "" {
		name = "proxyv2"
	}
	return hub + "/" + name + tagSuffix(tag, imageType)
}

// tagSuffix is ":tag" for an image type: a type that the tag already has is
// taken off first, and "default" means none.
func tagSuffix(tag, imageType string) string {
	if imageType != "" {
		for _, known := range []string{"-distroless", "-debug"} {
			tag = strings.TrimSuffix(tag, known)
		}
		if imageType != "default" {
			tag = strings.TrimPrefix(tag+"-"+imageType, "-")
		}
	}
	if tag == "" {
		return ""
	}
	return ":" + tag
}

// firstOf is the first of values that is not empty.
func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
