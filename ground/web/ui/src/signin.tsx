import { useEffect, useRef, useState } from "preact/hooks";
import { useChannel } from "./channel.ts";
import { access } from "./session.ts";

/** Covers the page while nobody has signed in. */
export function SignIn() {
  useChannel(access.changed);
  const name = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState(false);
  const out = access.session === null;
  useEffect(() => {
    if (out) name.current?.focus();
  }, [out]);
  if (access.session) return null;
  if (!out) return access.reason ? <div class="signin"><p role="status">{access.reason}</p></div> : null;
  const submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    const form = e.currentTarget as HTMLFormElement;
    const data = new FormData(form);
    setBusy(true);
    await access.signIn({ name: String(data.get("name")), password: String(data.get("password")) });
    setBusy(false);
    if (!access.session) form.querySelector<HTMLInputElement>("#password")?.select();
  };
  return (
    <div class="signin">
      <form onSubmit={(e) => void submit(e)} aria-labelledby="h-signin">
        <h1 class="wordmark">Fulmar</h1>
        <h2 id="h-signin">Sign in</h2>
        {access.reason && (
          <p class="refusal" role="alert">
            {access.reason.charAt(0).toUpperCase() + access.reason.slice(1)}.
          </p>
        )}
        <label>
          Name
          <input ref={name} id="name" name="name" autocomplete="username" autocapitalize="none" spellcheck={false} required maxLength={64} />
        </label>
        <label>
          Password
          <input id="password" name="password" type="password" autocomplete="current-password" required maxLength={1024} />
        </label>
        <button class="primary" disabled={busy}>
          {busy ? "Signing in" : "Sign in"}
        </button>
      </form>
    </div>
  );
}
