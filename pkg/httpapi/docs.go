package httpapi

import (
	"embed"
	"errors"
	"io/fs"
	"sync"

	"github.com/gin-gonic/gin"
	swagger "github.com/swaggest/swgui/v5/static"

	"github.com/txn-service/txn/pkg/errs"
)

//go:embed docs
var pageFiles embed.FS

// pagePolicy lets the reference page load its own files and call its own origin,
// and nothing else: no inline script or style, no eval, no other host, no frame
// around it. The images in Swagger UI's stylesheet are data: URLs.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// referencePage is the page with the files that it loads. Swagger UI comes
// compressed in the module that packages it.
var referencePage = sync.OnceValues(func() (map[string]asset, error) {
	const html, script, style = "text/html; charset=utf-8", "text/javascript; charset=utf-8", "text/css; charset=utf-8"
	files := map[string]asset{}
	for name, mediaType := range map[string]string{"index.html": html, "docs.js": script, "docs.css": style} {
		content, err := fs.ReadFile(pageFiles, "docs/"+name)
		if err != nil {
			return nil, err
		}
		files[name] = newAsset(mediaType, content)
	}
	for name, mediaType := range map[string]string{"swagger-ui-bundle.js": script, "swagger-ui.css": style} {
		content, err := fs.ReadFile(swagger.FS, name+".gz")
		if err != nil {
			return nil, err
		}
		files[name] = compressedAsset(mediaType, content)
	}
	return files, nil
})

// showPage answers GET /docs: the reference page.
func (a *API) showPage(c *gin.Context) error {
	c.Header("Content-Security-Policy", pagePolicy)
	c.Header("Referrer-Policy", "no-referrer")
	c.Header("Cross-Origin-Opener-Policy", "same-origin")
	return respondFile(c, "index.html")
}

// showPageFile answers GET /docs/{file}: what the page loads.
func (a *API) showPageFile(c *gin.Context) error { return respondFile(c, c.Param("file")) }

func respondFile(c *gin.Context, name string) error {
	files, err := referencePage()
	if err != nil {
		return err
	}
	file, known := files[name]
	if !known {
		return errs.Wrap(errors.New(name), errs.NotFound, "there is no such page")
	}
	return respondAsset(c, file)
}
