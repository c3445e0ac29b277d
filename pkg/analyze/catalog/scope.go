package catalog

// OutOfScope are the codes of Istio's analyzers, and those that are kept for
// others, that no rule reports, and why.
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
		"MSH0101": "to decide it exactly takes reasoning about all requests at once, which analyze does not do",
		"MSH0103": "to decide it exactly takes reasoning about all requests at once, which analyze does not do",
		"MSH0105": "to decide it exactly takes reasoning about all requests at once, which analyze does not do",
		"MSH0106": "to decide it exactly takes reasoning about all requests at once, which analyze does not do",
		"MSH0405": "to decide it exactly takes reasoning about all requests at once, which analyze does not do",
		"MSH0133": "MSH0128 tells of policies in another namespace than the workloads that they select",
		"MSH0139": "files do not say how an application reads the paths that it gets",
		"MSH0311": "IST0144 tells of applications that run as the sidecar's user",
		"MSH0312": "IST0123 tells of labels that contradict each other",
	}
}
