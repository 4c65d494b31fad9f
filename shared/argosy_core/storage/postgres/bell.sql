-- name: ring
SELECT pg_notify(:channel::text, payload) FROM unnest(:payloads::text[]) AS p (payload);
