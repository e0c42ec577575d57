// A status is a shape, a colour and a word: never the colour alone.

import type { Severity, Status } from "./api.ts";

export function StatusGlyph({ status }: { status: Status }) {
  return (
    <svg class={`glyph st-${status}`} viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
      {shape(status)}
    </svg>
  );
}

function shape(status: Status) {
  switch (status) {
    case "ok":
      return <circle cx="6" cy="6" r="4" fill="currentColor" />;
    case "starting":
      return (
        <>
          <circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" stroke-width="1.5" />
          <path d="M6 2a4 4 0 0 1 0 8z" fill="currentColor" />
        </>
      );
    case "degraded":
      return <path d="M6 1.5 11 10.5H1z" fill="currentColor" />;
    case "failed":
      return <path d="M1.5 1.5h9v9h-9z M4 4l4 4M8 4l-4 4" fill="currentColor" stroke="var(--panel)" stroke-width="1.4" />;
    case "stopped":
      return <rect x="2.5" y="2.5" width="7" height="7" fill="none" stroke="currentColor" stroke-width="1.5" />;
    case "unknown":
      return <circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" stroke-width="1.5" stroke-dasharray="2 1.6" />;
  }
}

export function StatusWord({ status }: { status: Status }) {
  return (
    <span class={`status st-${status}`}>
      <StatusGlyph status={status} />
      <span class="word">{status}</span>
    </span>
  );
}

const marks: Record<Severity, string> = { none: "·", debug: "·", info: "i", warning: "▲", error: "■", critical: "◆" };

export function SeverityMark({ severity }: { severity: Severity }) {
  return (
    <span class={`mark sev-${severity}`}>
      <span aria-hidden="true">{marks[severity]}</span>
      <span class="hidden">{severity}</span>
    </span>
  );
}
