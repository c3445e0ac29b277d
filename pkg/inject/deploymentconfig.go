package inject

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// deploymentConfig is OpenShift's apps.openshift.io/v1 DeploymentConfig, in
// the fields that its API has. OpenShift's own Go module no longer goes
// together with current Kubernetes ones, so the type is written down here.
type deploymentConfig struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              deploymentConfigSpec   `json:"spec"`
	Status            deploymentConfigStatus `json:"status"`
}

type deploymentConfigSpec struct {
	Strategy             deploymentStrategy        `json:"strategy"`
	MinReadySeconds      int32                     `json:"minReadySeconds,omitempty"`
	Triggers             []deploymentTriggerPolicy `json:"triggers"`
	Replicas             int32                     `json:"replicas"`
	RevisionHistoryLimit *int32                    `json:"revisionHistoryLimit,omitempty"`
	Test                 bool                      `json:"test"`
	Paused               bool                      `json:"paused,omitempty"`
	Selector             map[string]string         `json:"selector,omitempty"`
	Template             *corev1.PodTemplateSpec   `json:"template,omitempty"`
}

type deploymentStrategy struct {
	Type                  string                           `json:"type,omitempty"`
	CustomParams          *customDeploymentStrategyParams  `json:"customParams,omitempty"`
	RecreateParams        *recreateDeploymentParams        `json:"recreateParams,omitempty"`
	RollingParams         *rollingDeploymentStrategyParams `json:"rollingParams,omitempty"`
	Resources             corev1.ResourceRequirements      `json:"resources,omitempty"`
	Labels                map[string]string                `json:"labels,omitempty"`
	Annotations           map[string]string                `json:"annotations,omitempty"`
	ActiveDeadlineSeconds *int64                           `json:"activeDeadlineSeconds,omitempty"`
}

type customDeploymentStrategyParams struct {
	Image       string          `json:"image,omitempty"`
	Environment []corev1.EnvVar `json:"environment,omitempty"`
	Command     []string        `json:"command,omitempty"`
}

type recreateDeploymentParams struct {
	TimeoutSeconds *int64         `json:"timeoutSeconds,omitempty"`
	Pre            *lifecycleHook `json:"pre,omitempty"`
	Mid            *lifecycleHook `json:"mid,omitempty"`
	Post           *lifecycleHook `json:"post,omitempty"`
}

type rollingDeploymentStrategyParams struct {
	UpdatePeriodSeconds *int64              `json:"updatePeriodSeconds,omitempty"`
	IntervalSeconds     *int64              `json:"intervalSeconds,omitempty"`
	TimeoutSeconds      *int64              `json:"timeoutSeconds,omitempty"`
	MaxUnavailable      *intstr.IntOrString `json:"maxUnavailable,omitempty"`
	MaxSurge            *intstr.IntOrString `json:"maxSurge,omitempty"`
	Pre                 *lifecycleHook      `json:"pre,omitempty"`
	Post                *lifecycleHook      `json:"post,omitempty"`
}

type lifecycleHook struct {
	FailurePolicy string          `json:"failurePolicy"`
	ExecNewPod    *execNewPodHook `json:"execNewPod,omitempty"`
	TagImages     []tagImageHook  `json:"tagImages,omitempty"`
}

type execNewPodHook struct {
	Command       []string        `json:"command"`
	Env           []corev1.EnvVar `json:"env,omitempty"`
	ContainerName string          `json:"containerName"`
	Volumes       []string        `json:"volumes,omitempty"`
}

type tagImageHook struct {
	ContainerName string                 `json:"containerName"`
	To            corev1.ObjectReference `json:"to"`
}

type deploymentTriggerPolicy struct {
	Type              string                              `json:"type,omitempty"`
	ImageChangeParams *deploymentTriggerImageChangeParams `json:"imageChangeParams,omitempty"`
}

type deploymentTriggerImageChangeParams struct {
	Automatic          bool                   `json:"automatic,omitempty"`
	ContainerNames     []string               `json:"containerNames,omitempty"`
	From               corev1.ObjectReference `json:"from"`
	LastTriggeredImage string                 `json:"lastTriggeredImage,omitempty"`
}

type deploymentConfigStatus struct {
	LatestVersion       int64                 `json:"latestVersion"`
	ObservedGeneration  int64                 `json:"observedGeneration"`
	Replicas            int32                 `json:"replicas"`
	UpdatedReplicas     int32                 `json:"updatedReplicas"`
	AvailableReplicas   int32                 `json:"availableReplicas"`
	UnavailableReplicas int32                 `json:"unavailableReplicas"`
	Details             *deploymentDetails    `json:"details,omitempty"`
	Conditions          []deploymentCondition `json:"conditions,omitempty"`
	ReadyReplicas       int32                 `json:"readyReplicas,omitempty"`
}

type deploymentDetails struct {
	Message string            `json:"message,omitempty"`
	Causes  []deploymentCause `json:"causes"`
}

type deploymentCause struct {
	Type         string                       `json:"type"`
	ImageTrigger *deploymentCauseImageTrigger `json:"imageTrigger,omitempty"`
}

type deploymentCauseImageTrigger struct {
	From corev1.ObjectReference `json:"from"`
}

type deploymentCondition struct {
	Type               string                 `json:"type"`
	Status             corev1.ConditionStatus `json:"status"`
	LastUpdateTime     metav1.Time            `json:"lastUpdateTime,omitempty"`
	LastTransitionTime metav1.Time            `json:"lastTransitionTime,omitempty"`
	Reason             string                 `json:"reason,omitempty"`
	Message            string                 `json:"message,omitempty"`
}
