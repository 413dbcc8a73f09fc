// Posts each message to a webhook. nex run relay.mjs URL=http://… --on events.> --allow-http HOST:PORT
export default async (subject, payload, ctx) => {
  const answer = await fetch(ctx.env.URL, {
    method: "POST",
    headers: { "content-type": "application/octet-stream", "x-subject": subject },
    body: payload,
    signal: ctx.signal,
  });
  if (!answer.ok) return new Response(await answer.text(), { status: 502 });
  return answer.text();
};
