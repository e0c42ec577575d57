// Who has signed in. Every answer 401 of the ground ends it, and the page asks to sign in again.

import { Channel } from "./channel.ts";

export type Role = "viewer" | "operator" | "admin";

export interface Session {
  name: string;
  role: Role;
  /** Whether one signs in at this ground at all. */
  login: boolean;
}

const url = "/api/v1/session";

class Access {
  readonly changed = new Channel();
  /** Undefined until the ground has answered for the first time, null for nobody. */
  session: Session | null | undefined = undefined;
  /** Why nobody has signed in, in the ground's words. */
  reason = "";

  /** Signs in by the link that the address may hold, else by the cookie that the browser may have. */
  async begin(): Promise<void> {
    const link = new URLSearchParams(location.hash.slice(1)).get("signin");
    if (link !== null) {
      history.replaceState(null, "", location.pathname + location.search);
      await this.signIn({ link });
      if (this.session) return;
    }
    await this.look(link !== null);
  }

  private async look(keepReason: boolean): Promise<void> {
    for (;;) {
      try {
        const res = await fetch(url);
        if (res.ok) return this.set((await res.json()) as Session, "");
        const why = (await res.json()) as { detail?: string; hint?: string };
        if (!keepReason) this.reason = why.hint ? `${why.detail}; ${why.hint}` : "";
        return this.set(null, this.reason);
      } catch {
        this.set(this.session, "The ground does not answer.");
        await new Promise((done) => window.setTimeout(done, 2000));
      }
    }
  }

  async signIn(body: { name: string; password: string } | { link: string }): Promise<void> {
    try {
      const res = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
      const answer = (await res.json()) as Session & { detail?: string; hint?: string };
      if (res.ok) this.set(answer, "");
      else this.set(null, answer.hint ? `${answer.detail}; ${answer.hint}` : (answer.detail ?? res.statusText));
    } catch {
      this.set(null, "The ground does not answer.");
    }
  }

  async signOut(): Promise<void> {
    await fetch(url, { method: "DELETE" }).catch(() => undefined);
    this.set(null, "");
  }

  /** The ground has answered that nobody has signed in. */
  lost(): void {
    if (this.session) this.set(null, "The session has ended.");
  }

  private set(s: Session | null | undefined, reason: string): void {
    this.session = s;
    this.reason = reason;
    this.changed.emit();
  }
}

export const access = new Access();
