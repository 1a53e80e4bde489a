package chart_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	sigsyaml "sigs.k8s.io/yaml"
)

// chartDir is the chart.
const chartDir = "txn"

// kinds is every kind that the chart may make.
var kinds = func() *runtime.Scheme {
	all := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, monitoringv1.AddToScheme} {
		if err := add(all); err != nil {
			panic(err)
		}
	}
	return all
}()

// object is a resource of the rendered chart.
type object struct {
	metav1.Object

	typed runtime.Object
	// template is the file it came from, text its YAML.
	template string
	text     []byte
}

// kind is that of the resource, e.g. Deployment.
func (o object) kind() string { return o.typed.GetObjectKind().GroupVersionKind().Kind }

// pod is what a workload makes pods of, nil where it is none.
func (o object) pod() *corev1.PodTemplateSpec {
	switch workload := o.typed.(type) {
	case *appsv1.Deployment:
		return &workload.Spec.Template
	case *batchv1.Job:
		return &workload.Spec.Template
	case *corev1.Pod:
		return &corev1.PodTemplateSpec{ObjectMeta: workload.ObjectMeta, Spec: workload.Spec}
	default:
		return nil
	}
}

// rendered is the chart with some values.
type rendered struct {
	objects []object
	notes   string
}

// render does what `helm template` does, with the values in a YAML text.
func render(t *testing.T, values string, release ...string) *rendered {
	t.Helper()
	r, err := tryRender(t, values, release...)
	require.NoError(t, err)
	return r
}

func tryRender(t *testing.T, values string, release ...string) (*rendered, error) {
	t.Helper()
	chart, err := loader.Load(chartDir)
	require.NoError(t, err)
	var given map[string]any
	require.NoError(t, sigsyaml.Unmarshal([]byte(values), &given))
	options := common.ReleaseOptions{Name: "payments", Namespace: "money", Revision: 1, IsInstall: true}
	if len(release) > 0 {
		options.Name = release[0]
	}
	merged, err := util.ToRenderValues(chart, given, options, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Engine{Strict: true}.RenderWithContext(t.Context(), chart, merged)
	if err != nil {
		return nil, err
	}
	r := &rendered{}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if strings.HasSuffix(name, "NOTES.txt") {
			r.notes = files[name]
			continue
		}
		r.objects = append(r.objects, decode(t, strings.TrimPrefix(name, path.Join(chart.Name(), "templates")+"/"), files[name])...)
	}
	return r, nil
}

// decode reads resources strictly: what their Kubernetes types do not have is a
// failure.
func decode(t *testing.T, template, text string) (objects []object) {
	t.Helper()
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, kinds, kinds, json.SerializerOptions{Yaml: true, Strict: true})
	reader := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		require.NoError(t, err)
		if empty(document) {
			continue
		}
		decoded, _, err := strict.Decode(document, nil, nil)
		require.NoError(t, err, "%s:\n%s", template, document)
		meta, ok := decoded.(metav1.Object)
		require.True(t, ok)
		objects = append(objects, object{meta, decoded, template, bytes.TrimSpace(document)})
	}
}

// empty says whether a document holds nothing but comments.
func empty(document []byte) bool {
	var content map[string]any
	return sigsyaml.Unmarshal(document, &content) == nil && len(content) == 0
}

// find returns the resource of a type and name.
func find[T runtime.Object](t *testing.T, r *rendered, name string) T {
	t.Helper()
	for _, o := range r.objects {
		if typed, ok := o.typed.(T); ok && o.GetName() == name {
			return typed
		}
	}
	var none T
	require.FailNow(t, "not there", "%T %s", none, name)
	return none
}

// matrix is the sets of values that are tried, by name: the files of
// testdata/values.
func matrix(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/values/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	sets := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		sets[strings.TrimSuffix(filepath.Base(file), ".yaml")] = string(text)
	}
	return sets
}
