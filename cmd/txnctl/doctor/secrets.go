package doctor

import (
	"context"
	"fmt"

	"github.com/txn-service/txn/pkg/webhook"
)

// checkSecrets finds signing secrets that the configured keys do not decrypt: no
// delivery to their endpoints can be signed.
func checkSecrets(ctx context.Context, p *patient) (verdict, error) {
	keys, _ := p.settings.Security.Keys() // what is wrong with them has been said
	if len(keys) == 0 {
		return skipped("needs config.encryption_keys"), nil
	}
	keyring, err := webhook.NewKeyring(keys)
	if err != nil {
		return verdict{}, err
	}
	report, err := webhook.CheckSecrets(ctx, p.db, keyring)
	if err != nil {
		return verdict{}, err
	}
	return judgeSecrets(report), nil
}

func judgeSecrets(r webhook.SecretsReport) verdict {
	switch {
	case r.UndecryptableCount > 0:
		return fail(fmt.Sprintf("%d of %s cannot be decrypted with the configured keys: those of %s",
			r.UndecryptableCount, count(int64(r.Total), "secret", "secrets"), listIDs(r.Undecryptable)),
			"add the key that they were encrypted with to security.encryption_keys; if it is lost, rotate the endpoints' secrets")
	case r.Stale > 0:
		return warn(fmt.Sprintf("%d of %s still encrypted with a former key", r.Stale, count(int64(r.Total), "secret is", "secrets are")),
			"run txnctl security rotate-encryption-key before you take the former key away")
	case r.Abandoned > 0:
		return ok("every secret in use decrypts with the first key; %d that nothing needs any more do not decrypt", r.Abandoned)
	default:
		return ok("%s, all with the first key", count(int64(r.Total), "secret decrypts", "secrets decrypt"))
	}
}
