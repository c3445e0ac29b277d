package catalog

// OutOfScope are the codes of Istio's analyzers that no rule reports, and why.
func OutOfScope() map[string]string {
	return map[string]string{
		"IST0001": "it says that an analyzer of istioctl's broke; a fault of meshctl's own ends the run with a message and exit status",
		"IST0141": "it is about the rights of whoever installs Istio in a cluster, which files do not show",
		"IST0142": "it is about the version of a cluster's API server, which files do not show",
		"IST0143": "it is about the addresses that processes of running pods listen at, which files do not show",
		"IST0156": "it is about the definitions that a cluster has; of those in files IST0176 tells",
		"IST0168": "it compares the release that a cluster runs with the one that it is upgraded to",
		"IST0169": "it compares the release that a cluster runs with the one that it is upgraded to",
		"IST0170": "it compares Services of several clusters; files say of no object which cluster it is in",
		"IST0172": "it is about the definitions that a cluster has and a release to come; of those in files IST0176 tells",
	}
}
