package chart_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// pods are the pod templates of a rendered chart, by the name of their workload.
func (r *rendered) pods() map[string]*corev1.PodTemplateSpec {
	pods := map[string]*corev1.PodTemplateSpec{}
	for _, o := range r.objects {
		if pod := o.pod(); pod != nil {
			pods[o.GetName()] = pod
		}
	}
	return pods
}

// TestPodsAreRestricted judges every pod as a namespace labelled
// pod-security.kubernetes.io/enforce=restricted would.
func TestPodsAreRestricted(t *testing.T) {
	t.Parallel()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	require.NoError(t, err)
	restricted := podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: podsecurity.LatestVersion()}
	for values, text := range matrix(t) {
		pods := render(t, text).pods()
		require.GreaterOrEqual(t, len(pods), 3, values)
		for name, pod := range pods {
			for _, result := range evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec) {
				assert.True(t, result.Allowed, "%s/%s: %s: %s", values, name, result.ForbiddenReason, result.ForbiddenDetail)
			}
			assert.False(t, *pod.Spec.AutomountServiceAccountToken, "%s/%s", values, name)
			assert.False(t, *pod.Spec.EnableServiceLinks, "%s/%s: a Service called txn-api would set TXN_API_…", values, name)
			for _, container := range pod.Spec.Containers {
				assert.True(t, *container.SecurityContext.ReadOnlyRootFilesystem, "%s/%s", values, name)
			}
		}
	}
}

// TestNamesFit: whatever the release is called, its resources can be made.
func TestNamesFit(t *testing.T) {
	t.Parallel()
	for _, release := range []string{"txn", "r", strings.Repeat("long-", 10) + "abc"} {
		seen := map[string]bool{}
		for _, o := range render(t, matrix(t)["full"], release).objects {
			assert.Empty(t, validation.IsDNS1123Label(o.GetName()), "%s %s", o.kind(), o.GetName())
			assert.False(t, seen[o.kind()+o.GetName()], "%s %s is there twice", o.kind(), o.GetName())
			seen[o.kind()+o.GetName()] = true
			for key, value := range o.GetLabels() {
				assert.Empty(t, validation.IsValidLabelValue(value), "%s of %s %s", key, o.kind(), o.GetName())
			}
			if pod := o.pod(); pod != nil {
				for key, value := range pod.Labels {
					assert.Empty(t, validation.IsValidLabelValue(value), "%s of the pods of %s", key, o.GetName())
				}
			}
		}
	}
}

// TestReferencesLead: what a resource names is there, and selectors choose the
// pods of one component.
func TestReferencesLead(t *testing.T) {
	t.Parallel()
	for values, text := range matrix(t) {
		r := render(t, text)
		names := map[string]bool{}
		for _, o := range r.objects {
			names[o.kind()+"/"+o.GetName()] = true
		}
		there := func(kind, name string) { assert.True(t, names[kind+"/"+name], "%s: no %s %s", values, kind, name) }
		for _, o := range r.objects {
			if pod := o.pod(); pod != nil {
				there("ServiceAccount", pod.Spec.ServiceAccountName)
				for _, volume := range pod.Spec.Volumes {
					there("ConfigMap", volume.ConfigMap.Name)
				}
			}
			switch o := o.typed.(type) {
			case *appsv1.Deployment:
				assert.Equal(t, []string{o.Name}, r.selected(o.Spec.Selector.MatchLabels), values)
				for _, spread := range o.Spec.Template.Spec.TopologySpreadConstraints {
					assert.Equal(t, []string{o.Name}, r.selected(spread.LabelSelector.MatchLabels), values)
				}
			case *corev1.Service:
				workloads := r.selected(o.Spec.Selector)
				require.Len(t, workloads, 1, "%s: %s", values, o.Name)
				for _, port := range o.Spec.Ports {
					assert.Contains(t, ports(r.pods()[workloads[0]]), port.TargetPort.StrVal, "%s: %s", values, o.Name)
				}
			case *autoscalingv2.HorizontalPodAutoscaler:
				there("Deployment", o.Spec.ScaleTargetRef.Name)
				assert.Nil(t, find[*appsv1.Deployment](t, r, o.Spec.ScaleTargetRef.Name).Spec.Replicas, "an upgrade must not undo the autoscaler")
			case *policyv1.PodDisruptionBudget:
				assert.Len(t, r.selected(o.Spec.Selector.MatchLabels), 1, "%s: %s", values, o.Name)
			case *networkingv1.NetworkPolicy:
				assert.Len(t, r.selected(o.Spec.PodSelector.MatchLabels), 1, "%s: %s", values, o.Name)
			case *networkingv1.Ingress:
				for _, rule := range o.Spec.Rules {
					there("Service", rule.HTTP.Paths[0].Backend.Service.Name)
				}
			}
		}
	}
}

// selected returns the workloads whose pods have the labels.
func (r *rendered) selected(want map[string]string) (names []string) {
	for name, pod := range r.pods() {
		if labels.SelectorFromSet(want).Matches(labels.Set(pod.Labels)) {
			names = append(names, name)
		}
	}
	return names
}

func ports(pod *corev1.PodTemplateSpec) (names []string) {
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			names = append(names, port.Name)
		}
	}
	return names
}

// TestMigrationComesFirst: Helm waits for hooks before it touches anything else,
// so the Job must be one and may need nothing that comes later.
func TestMigrationComesFirst(t *testing.T) {
	t.Parallel()
	r := render(t, matrix(t)["full"])
	job := find[*batchv1.Job](t, r, "payments-txn-migrate")
	require.Equal(t, "pre-install,pre-upgrade", job.Annotations["helm.sh/hook"])
	require.Equal(t, []string{"txnctl", "migrate", "up"}, job.Spec.Template.Spec.Containers[0].Args)
	require.Empty(t, job.Spec.Template.Spec.Volumes)
	account := find[*corev1.ServiceAccount](t, r, job.Spec.Template.Spec.ServiceAccountName)
	network := find[*networkingv1.NetworkPolicy](t, r, "payments-txn-migrate")
	for _, annotations := range []map[string]string{account.Annotations, network.Annotations} {
		require.Equal(t, "pre-install,pre-upgrade", annotations["helm.sh/hook"])
		require.Equal(t, "-10", annotations["helm.sh/hook-weight"], "before the Job")
		require.Equal(t, "before-hook-creation,hook-succeeded", annotations["helm.sh/hook-delete-policy"])
	}
	for _, o := range r.objects {
		if o.kind() == "Deployment" {
			require.Empty(t, o.GetAnnotations()["helm.sh/hook"])
		}
	}
	for _, o := range render(t, "migrations: {enabled: false}").objects {
		require.NotContains(t, o.GetName(), "migrate")
	}
}

// TestGracePeriods: Kubernetes kills no pod that is still finishing in time.
func TestGracePeriods(t *testing.T) {
	t.Parallel()
	r := render(t, "api: {shutdownDelaySeconds: 7, shutdownGraceSeconds: 30}\ndispatcher: {shutdownGraceSeconds: 40}")
	api := find[*appsv1.Deployment](t, r, "payments-txn-api").Spec.Template.Spec
	require.EqualValues(t, 7+30+10, *api.TerminationGracePeriodSeconds)
	dispatcher := find[*appsv1.Deployment](t, r, "payments-txn-dispatcher").Spec.Template.Spec
	require.EqualValues(t, 40+10, *dispatcher.TerminationGracePeriodSeconds)
	config := find[*corev1.ConfigMap](t, r, "payments-txn").Data["txn.yaml"]
	require.Contains(t, config, "shutdown_delay: 7s")
	require.Contains(t, config, "shutdown_grace: 30s")
	require.Contains(t, config, "shutdown_grace: 40s")
}

// TestProbes: a pod is restarted when it hangs, and gets no traffic while it
// cannot work; the one must not be mistaken for the other.
func TestProbes(t *testing.T) {
	t.Parallel()
	r := render(t, "")
	for _, name := range []string{"payments-txn-api", "payments-txn-dispatcher"} {
		container := find[*appsv1.Deployment](t, r, name).Spec.Template.Spec.Containers[0]
		require.Equal(t, "/livez", container.LivenessProbe.HTTPGet.Path)
		require.Equal(t, "/readyz", container.ReadinessProbe.HTTPGet.Path)
		require.Greater(t, container.ReadinessProbe.TimeoutSeconds, int32(2), "the service itself looks for up to 2 s")
		for _, probe := range []*corev1.Probe{container.LivenessProbe, container.ReadinessProbe} {
			require.Contains(t, ports(&corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{container}}}), probe.HTTPGet.Port.StrVal)
		}
	}
}

// TestSecretsAreReferences: no secret is in the chart's output, wherever it comes
// from.
func TestSecretsAreReferences(t *testing.T) {
	t.Parallel()
	r := render(t, matrix(t)["full"])
	for _, o := range r.objects {
		require.NotEqual(t, "Secret", o.kind())
	}
	for name, want := range map[string]map[string]string{
		"payments-txn-api": {
			"TXN_DATABASE_URL": "pg/pooler", "TXN_DATABASE_LISTEN_URL": "pg/direct", "TXN_REDIS_URL": "redis-url/url",
			"TXN_SECURITY_ENCRYPTION_KEYS": "keyring/list",
		},
		"payments-txn-dispatcher": {
			"TXN_DATABASE_URL": "pg/pooler", "TXN_DATABASE_LISTEN_URL": "pg/direct", "TXN_REDIS_URL": "redis-url/url",
			"TXN_SECURITY_ENCRYPTION_KEYS": "keyring/list", "TXN_WEBHOOKS_PROXY": "proxy/url",
		},
		"payments-txn-migrate":    {"TXN_DATABASE_URL": "pg/pooler"},
		"payments-txn-smoke-test": {"TXN_API_KEY": "smoke/token"},
	} {
		require.Equal(t, want, secrets(r.pods()[name]), name)
	}
	r = render(t, "")
	require.Equal(t, map[string]string{"TXN_DATABASE_URL": "txn-database/url"}, secrets(r.pods()["payments-txn-smoke-test"]))
	require.NotContains(t, secrets(r.pods()["payments-txn-api"]), "TXN_REDIS_URL")
}

// secrets are the variables that a pod takes from Secrets, and from which.
func secrets(pod *corev1.PodTemplateSpec) map[string]string {
	found := map[string]string{}
	for _, variable := range pod.Spec.Containers[0].Env {
		if variable.ValueFrom != nil {
			found[variable.Name] = variable.ValueFrom.SecretKeyRef.Name + "/" + variable.ValueFrom.SecretKeyRef.Key
		}
	}
	return found
}

func TestMemoryLimitOfTheCollector(t *testing.T) {
	t.Parallel()
	for limit, want := range map[string]string{"256Mi": "192MiB", "1Gi": "768MiB", "100Mi": "75MiB"} {
		r := render(t, "api: {resources: {limits: {memory: "+limit+"}}}")
		for _, variable := range r.pods()["payments-txn-api"].Spec.Containers[0].Env {
			if variable.Name == "GOMEMLIMIT" {
				require.Equal(t, want, variable.Value, limit)
			}
		}
	}
	for name, pod := range render(t, "api: {env: {GOMEMLIMIT: 1GiB}}").pods() {
		names := map[string]int{}
		for _, variable := range pod.Spec.Containers[0].Env {
			names[variable.Name]++
		}
		require.Equal(t, 1, names["GOMEMLIMIT"], "%s: the user's replaces the chart's", name)
	}
}

// TestPodsChangeWithTheirConfiguration: a change of `config` rolls the pods.
func TestPodsChangeWithTheirConfiguration(t *testing.T) {
	t.Parallel()
	sums := map[string]bool{}
	for _, values := range []string{"", "config: {log: {level: debug}}", "api: {shutdownGraceSeconds: 21}"} {
		sums[render(t, values).pods()["payments-txn-api"].Annotations["checksum/config"]] = true
	}
	require.Len(t, sums, 3)
}

// TestConnectionsFitPostgreSQL: with the defaults, all pods at once, one more of
// each during a rollout, and everybody's single connections stay below the 97 that
// PostgreSQL's own default leaves to clients.
func TestConnectionsFitPostgreSQL(t *testing.T) {
	t.Parallel()
	r := render(t, "")
	pods := 0
	for _, name := range []string{"payments-txn-api", "payments-txn-dispatcher"} {
		pods += int(find[*autoscalingv2.HorizontalPodAutoscaler](t, r, name).Spec.MaxReplicas) +
			find[*appsv1.Deployment](t, r, name).Spec.Strategy.RollingUpdate.MaxSurge.IntValue()
	}
	listening := int(find[*autoscalingv2.HorizontalPodAutoscaler](t, r, "payments-txn-dispatcher").Spec.MaxReplicas) + 1
	require.Contains(t, find[*corev1.ConfigMap](t, r, "payments-txn").Data["txn.yaml"], "max_open_conns: 10\n")
	require.LessOrEqual(t, pods*10+listening, 97)
}

// TestDispatchersReachPublicAddressesOnly, unless they are told otherwise.
func TestDispatchersReachPublicAddressesOnly(t *testing.T) {
	t.Parallel()
	webhooks := func(values string) []networkingv1.NetworkPolicyPeer {
		egress := find[*networkingv1.NetworkPolicy](t, render(t, values), "payments-txn-dispatcher").Spec.Egress
		return egress[len(egress)-1].To
	}
	public := webhooks("")
	for _, network := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "127.0.0.0/8"} {
		require.Contains(t, public[0].IPBlock.Except, network)
	}
	require.Equal(t, "2000::/3", public[1].IPBlock.CIDR)
	proxied := webhooks("webhookProxy: {existingSecret: proxy}\nnetworkPolicy: {proxy: {to: [{podSelector: {matchLabels: {app: squid}}}]}}")
	require.Len(t, proxied, 1)
	require.Nil(t, proxied[0].IPBlock, "the proxy and nothing else")
	all := webhooks("config: {webhooks: {allow_insecure: true}}")
	require.Empty(t, all[0].IPBlock.Except)
	require.Equal(t, "::/0", all[1].IPBlock.CIDR)
}
