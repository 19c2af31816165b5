-- The operational database: the tables of schemas/{user,device,url}.avsc, their owner, and the reader that Debezium is.
-- Runs once, in database `app`, as the superuser.

create role app login password 'app';
create role cdc login replication password 'cdc';

create table public.users (
  user_id bigint primary key,
  name text,
  country text,
  tier text not null default 'free',
  birth_year int,
  signup_date date,
  bio text,
  updated_at timestamptz
);

create table public.devices (
  device_id text primary key,
  user_id bigint,
  os text,
  os_version text,
  model text,
  form_factor text not null default 'unknown',
  updated_at timestamptz
);

create table public.urls (
  url_id bigint primary key,
  url text not null,
  domain text,
  category text,
  title text,
  price numeric(12, 2),
  updated_at timestamptz
);

-- Debezium writes here so that its slot moves on while the captured tables are quiet.
create table public.debezium_heartbeat (
  id int primary key,
  beat_at timestamptz not null
);

alter table public.users owner to app;
alter table public.devices owner to app;
alter table public.urls owner to app;
alter table public.debezium_heartbeat owner to app;

-- Made here, by the owner's side: the reader then needs neither ownership nor CREATE.
-- TRUNCATE is left out: a truncate has no key, so that a compacted topic cannot hold it, and Debezium skips it.
-- Delete the rows instead, or see docs/operations.md for what to do after a truncate.
create publication tributary_pub
  for table public.users, public.devices, public.urls, public.debezium_heartbeat
  with (publish = 'insert, update, delete');

-- Whoever adds a table to be captured is its owner, and publishes it without a superuser.
grant create on database app to app;
alter publication tributary_pub owner to app;

grant usage on schema public to cdc;
grant select on public.users, public.devices, public.urls to cdc;
grant select, insert, update on public.debezium_heartbeat to cdc;
