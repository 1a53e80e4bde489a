package httpapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
)

// asset is a file that is the same for everybody for as long as the process lives.
// It is kept compressed, which is how nearly all clients take it.
type asset struct {
	mediaType string
	// etag is weak: it stands for the file in both encodings.
	etag    string
	gzipped []byte
}

// newAsset compresses a file.
func newAsset(mediaType string, content []byte) asset {
	var compressed bytes.Buffer
	writer := gzip.NewWriter(&compressed)
	// A buffer takes everything.
	_, _ = writer.Write(content)
	_ = writer.Close()
	return compressedAsset(mediaType, compressed.Bytes())
}

// compressedAsset is newAsset for a file that is compressed already.
func compressedAsset(mediaType string, gzipped []byte) asset {
	sum := sha256.Sum256(gzipped)
	return asset{mediaType: mediaType, etag: `W/"` + hex.EncodeToString(sum[:16]) + `"`, gzipped: gzipped}
}

// assetAge is how long caches keep an asset without asking. A new release shows
// within it.
const assetAge = "public, max-age=300"

// respondAsset answers with a file, or with 304 when the caller has it.
func respondAsset(c *gin.Context, a asset) error {
	header := c.Writer.Header()
	header.Set("Cache-Control", assetAge)
	header.Set("ETag", a.etag)
	header.Set("Vary", "Accept-Encoding")
	if matches(c.GetHeader("If-None-Match"), a.etag) {
		c.Writer.WriteHeader(http.StatusNotModified)
		c.Writer.WriteHeaderNow()
		return nil
	}
	header.Set("Content-Type", a.mediaType)
	header.Set("X-Content-Type-Options", "nosniff")
	if acceptsGzip(c.GetHeader("Accept-Encoding")) {
		header.Set("Content-Encoding", "gzip")
		header.Set("Content-Length", strconv.Itoa(len(a.gzipped)))
		c.Writer.WriteHeader(http.StatusOK)
		// An error here is a caller who hung up: there is nobody to tell.
		_, _ = c.Writer.Write(a.gzipped)
		return nil
	}
	plain, err := gzip.NewReader(bytes.NewReader(a.gzipped))
	if err != nil {
		return err
	}
	c.Writer.WriteHeader(http.StatusOK)
	_, _ = io.Copy(c.Writer, plain) //nolint:gosec // G110: a file of our own
	return nil
}

// matches reports whether an If-None-Match names the tag or is `*` (RFC 9110
// §13.1.2).
func matches(header, etag string) bool {
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || candidate != "" && strings.TrimPrefix(candidate, "W/") == strings.TrimPrefix(etag, "W/") {
			return true
		}
	}
	return false
}

// acceptsGzip reports whether an Accept-Encoding names gzip with a quality above
// zero. A wildcard is not taken as a wish for it.
func acceptsGzip(header string) bool {
	for coding := range strings.SplitSeq(header, ",") {
		name, parameters, _ := strings.Cut(coding, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		quality, given := strings.CutPrefix(strings.ReplaceAll(parameters, " ", ""), "q=")
		value, err := strconv.ParseFloat(quality, 64)
		return !given || err == nil && value > 0
	}
	return false
}
