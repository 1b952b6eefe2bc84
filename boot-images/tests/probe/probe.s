# Lines of `probe NAME=VALUE…`, numbers in hexadecimal.
    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18
    .asciz "Xen"
    .quad probe_start

    .macro say text
    mov esi, offset text_\@
    call puts
    .section .data
text_\@:
    .asciz "\text"
    .section .text
    .endm

    .text
    .code32
probe_start:
    mov esp, offset stack_top
    mov ebp, ebx
    say "probe magic="
    mov eax, [ebp]
    call hex32
    say " version="
    mov eax, [ebp + 4]
    call hex32
    say " modules="
    mov eax, [ebp + 12]
    call hex32
    say "\nprobe cr0="
    mov eax, cr0
    call hex32
    say " cr4="
    mov eax, cr4
    call hex32
    say "\nprobe cmdline="
    mov esi, [ebp + 24]
    call puts
    say "\nprobe rsdp="
    lea edi, [ebp + 32]
    call hex64
    mov edi, [ebp + 16]
    say "\nprobe module="
    call hex64
    say " size="
    add edi, 8
    call hex64
    call checksum
    call ranges
    call segments
    say "\nprobe end\n"
    mov al, 0x10
    mov dx, 0xf4
    out dx, al
halt:
    hlt
    jmp halt

# The data segment arrived whole and the bss is zero.
segments:
    say "\nprobe data="
    mov eax, [data_end - 4]
    call hex32
    mov edi, offset bss
    mov ecx, offset bss_end
    sub ecx, edi
    xor eax, eax
    repe scasb
    say " bss="
    mov eax, ecx
    call hex32
    ret

# s = rotate_left(s, 1) ^ word, over all 32-bit words of the first module.
checksum:
    mov edi, [ebp + 16]
    mov esi, [edi]
    mov ecx, [edi + 8]
    shr ecx, 2
    xor ebx, ebx
3:  rol ebx, 1
    xor ebx, [esi]
    add esi, 4
    dec ecx
    jnz 3b
    say "\nprobe sum="
    mov eax, ebx
    jmp hex32

ranges:
    mov edi, [ebp + 40]
    mov ebx, [ebp + 48]
4:  say "\nprobe range="
    call hex64
    say " size="
    add edi, 8
    call hex64
    say " kind="
    mov eax, [edi + 8]
    call hex32
    add edi, 16
    dec ebx
    jnz 4b
    ret

# Prints the number at EDI.
hex64:
    mov eax, [edi + 4]
    call hex32
    mov eax, [edi]
# Prints EAX.
hex32:
    mov ecx, 8
5:  rol eax, 4
    push eax
    and al, 15
    add al, 0x30
    cmp al, 0x3a
    jb 6f
    add al, 0x27
6:  call putc
    pop eax
    dec ecx
    jnz 5b
    ret

# Prints the string at ESI.
puts:
    lodsb
    test al, al
    jz 8f
    call putc
    jmp puts
8:  ret

putc:
    push eax
    mov dx, 0x3fd
9:  in al, dx
    test al, 0x20
    jz 9b
    mov dx, 0x3f8
    pop eax
    out dx, al
    ret

    .section .data
    .space 100000, 0x5a
    .long 0x600df00d
data_end:

    .section .bss
bss:
    .space 300000
bss_end:
    .space 4096
stack_top:
    .code64
