import os, resource, subprocess, sys, time, json
from pathlib import Path
from plugins.dcache.tests.servers import LOGIN, PASSWORD
CHILD='''
import sys, time, resource, json
from pathlib import Path
t0=time.perf_counter()
from faas_supervisor.storage import ObjectRef, Secret
from faas_supervisor.storage._retry import Retry
from faas_supervisor.storage._store import Store
from faas_supervisor.storage._transfer import Transfer
import threading
from faas_supervisor_dcache import Settings
from faas_supervisor_dcache.provider import make_provider
url,ca,login,pw,direction,local=sys.argv[1:]
s=Store("webdav.x",lambda: make_provider(Settings(url,login=login,password=Secret(pw),ca_bundle=ca or None)))
t=Transfer(Retry(),1,threading.Event())
p=Path(local)
if direction=="up": t.upload(s,p,"bench/obj")
else: t.download(s,ObjectRef("bench/obj"),p.with_suffix(".got"),partial=p.with_suffix(".part"))
s.close()
'''
def run(cmd):
    a=time.perf_counter(); pid=os.spawnvpe(os.P_NOWAIT,cmd[0],cmd,os.environ); _,st,ru=os.wait4(pid,0)
    assert st==0,(cmd,st)
    return time.perf_counter()-a, ru.ru_utime+ru.ru_stime, ru.ru_maxrss/1024
def test_bench(apache,tmp_path):
    src=tmp_path/"big"; 
    with src.open("wb") as f:
        for _ in range(256): f.write(os.urandom(1<<20))
    obs=subprocess.run([".venv/bin/rclone","obscure",PASSWORD],capture_output=True,text=True).stdout.strip()
    conf=tmp_path/"c"; conf.touch()
    for name,url,ca in (("http",apache.plain_url,""),("https",apache.url,apache.ca)):
        rc=[".venv/bin/rclone","--config",str(conf),"--webdav-url",url,"--webdav-user",LOGIN,"--webdav-pass",obs,"--ignore-times","--retries","1"]+(["--ca-cert",ca] if ca else [])
        for direction in ("up","down"):
            for who in ("ours","rclone"):
                res=[]
                for _ in range(3):
                    if who=="ours": cmd=[sys.executable,"-c",CHILD,url,ca,LOGIN,PASSWORD,direction,str(src)]
                    elif direction=="up": cmd=rc+["copyto",str(src),":webdav:bench/obj"]
                    else: cmd=rc+["copyto",":webdav:bench/obj",str(tmp_path/"got2")]
                    res.append(run(cmd))
                res.sort(key=lambda r:r[1]); w,c,m=res[1]
                print(f"{name:6}{direction:5}{who:7} wall {w:5.2f}s  cpu {c:5.2f}s  rss {m:5.0f} MiB")
